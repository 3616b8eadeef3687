// What two binaries (SIGUSR2) have in common of the peers of upstreams with `zone`, in memory that
// the old one passes on. The standing of a peer is one for both. Connections are counted apart:
// each binary writes its own numbers and reads the other's, so that max_conns is one limit, and a
// server is drained when the connections of both have ended.
//
// A peer has a place here, found by its key; its numbers are those of two sides, of which a binary
// has one. What is left of a binary that was killed, workers without a master, writes nothing any
// more when its side has been given to another. Places are found and freed under the lock; numbers
// are written under the lock of the peer's group, of which each binary has its own.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "shm/peer_standing.h"
#include "shm/robust_mutex.h"

namespace limpet::shm {

class PeerBook {
 public:
  using Count = std::atomic<uint32_t>;
  static constexpr uint32_t kPlaces = 8192;

  static size_t Bytes();
  // Raise the number when a place comes to mean something else.
  static constexpr uint64_t Layout() { return uint64_t{2} << 32 | kPlaces; }

  // Formats fresh memory, all zero, or goes on with what another binary has begun.
  PeerBook(std::byte* memory, size_t bytes);

  // Who this process and its children are; before any fork. `id` is not 0, and greater than those
  // of all binaries before.
  void Join(uint32_t id);
  // The master's: a binary of that id is about to be started, or the other one has gone.
  void Admit(uint32_t id);
  void KeepOnlyOwn();

  // The place of a key; 0 if all are taken. `place` is where it is kept: it is written under the
  // lock, so that Collect sees it. If the other binary does not use the place, the standing in it
  // begins as `own`; else it is the other's, which knows more than it has told us at the start.
  uint32_t Find(uint64_t key, std::atomic<uint32_t>& place, const PeerStanding& own);
  // Of those that this binary has ever found, it uses only these still. Before Admit: the next
  // binary takes over no standing of a peer that has left.
  void KeepOnlyUsed(const std::vector<const std::atomic<uint32_t>*>& used);
  // Frees the places that none of these name; does nothing while there is another binary.
  void Collect(const std::vector<const std::atomic<uint32_t>*>& used);
  bool crowded() const;
  // Ids grow: a binary has been started by one of a smaller id.
  bool is_newest() const;
  bool has_other() const;

  void Publish(uint32_t place, uint32_t connections);
  const Count& Elsewhere(uint32_t place) const;  // the other side's number
  PeerStanding& Standing(uint32_t place) const;  // of both

 private:
  struct Memory;
  void Take(uint32_t place, uint64_t key, const PeerStanding& own);

  Memory* memory_;
  uint32_t id_ = 0;
  size_t side_ = 0;
};

}  // namespace limpet::shm
