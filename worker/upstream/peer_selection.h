// How far one exchange has come in choosing a peer: kept from its first attempt to its last. No
// allocation for groups of up to 128 peers.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/socket_address.h"
#include "worker/upstream/peer.h"

namespace limpet::worker {

// The peers that were tried, by their index in the group.
class TriedSet {
 public:
  void Reset(size_t peers);
  void Clear();
  void Set(int i) { word(i) |= bit(i); }
  bool Has(int i) const { return (word(i) & bit(i)) != 0; }

 private:
  static constexpr size_t kInline = 2;
  static uint64_t bit(int i) { return uint64_t{1} << (i % 64); }
  uint64_t& word(int i) { return Words()[i / 64]; }
  uint64_t word(int i) const { return const_cast<TriedSet*>(this)->Words()[i / 64]; }
  uint64_t* Words() { return more_.empty() ? inline_ : more_.data(); }

  uint64_t inline_[kInline] = {};
  std::vector<uint64_t> more_;
};

struct PeerSelection {
  // Inputs: must stay valid while the selection is used.
  std::string_view key;                   // of hash
  const SocketAddress* client = nullptr;  // of ip_hash

  // A rehearsal: nothing but the selection itself changes when a peer is chosen with it. Its peers
  // are not given to Done.
  bool dry = false;

  // State of the methods.
  TriedSet tried;
  Peer* current = nullptr;  // chosen and not yet given to Done
  int tries = 0;            // attempts left; 0: no next upstream
  bool on_backup = false;   // the primaries have been given up
  int lookups = 0;          // of hash, ip_hash, random: beyond 20 it is round robin's turn
  uint32_t rehash = 0;
  uint32_t hash = 0;      // hash: accumulated; hash consistent: position in the ring
  bool prepared = false;  // hash consistent: the position has been looked up

  void LimitTries(int most) {  // proxy_next_upstream_tries; 0: no limit
    if (most > 0 && tries > most) tries = most;
  }
};

}  // namespace limpet::worker
