// How far one exchange has come in choosing a peer: kept from its first attempt to its last. No
// allocation for groups of up to 128 peers.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
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
  void Unset(int i) { word(i) &= ~bit(i); }
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

class PeerSet;

// Keeps a PeerSet while somebody may look at its peers. Not for other threads.
class PeerSetRef {
 public:
  PeerSetRef() = default;
  explicit PeerSetRef(PeerSet* set);
  PeerSetRef(const PeerSetRef& other) : PeerSetRef(other.set_) {}
  PeerSetRef(PeerSetRef&& other) noexcept : set_(std::exchange(other.set_, nullptr)) {}
  PeerSetRef& operator=(PeerSetRef other) noexcept {
    std::swap(set_, other.set_);
    return *this;
  }
  ~PeerSetRef();

  PeerSet* get() const { return set_; }
  PeerSet* operator->() const { return set_; }
  PeerSet& operator*() const { return *set_; }
  explicit operator bool() const { return set_ != nullptr; }

 private:
  PeerSet* set_ = nullptr;
};

struct PeerSelection {
  // Inputs: must stay valid while the selection is used.
  std::string_view key;                   // of hash
  const SocketAddress* client = nullptr;  // of ip_hash

  // The peers as they were when the exchange began; those that have gone since are marked. What it
  // began with before is kept, too: its log line names peers of all.
  PeerSetRef set;
  std::vector<PeerSetRef> earlier;

  // State of the methods.
  TriedSet tried;
  Peer* current = nullptr;  // chosen and not yet given to Done
  // Since when `current` counts this request's time; 0: it does not.
  uint64_t inflight_since_ms = 0;
  int tries = 0;    // attempts left; 0: no next upstream
  int lookups = 0;  // of hash, ip_hash, random: beyond 20 it is round robin's turn
  uint32_t rehash = 0;
  uint32_t hash = 0;       // hash: accumulated; hash consistent: position in the ring
  bool prepared = false;   // hash consistent: the position has been looked up
  bool on_backup = false;  // the primaries have been given up
  bool opening = false;    // `current` counts this request as one that may begin a session
  // A rehearsal: nothing but the selection itself changes when a peer is chosen with it. Its peers
  // are not given to Done.
  bool dry = false;

  void LimitTries(int most) {  // proxy_next_upstream_tries; 0: no limit
    if (most > 0 && tries > most) tries = most;
  }
  void LetGo() {  // of all peers, when the exchange is over and logged
    set = {};
    earlier.clear();
  }
};

}  // namespace limpet::worker
