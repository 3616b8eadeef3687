// Changes of sessions by those who do not speak with the store themselves: the API and the command
// line. They are made in the zone and left here; the worker that follows the store's changes tells
// it of them. Lies in zeroed shared memory, as part of StoreState. A process may die anywhere.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "shm/robust_mutex.h"

namespace limpet::shm {

struct RelayedChange {
  uint64_t tag;    // of the session's fingerprint
  uint64_t time;   // StoreVersion::time
  uint16_t extra;  // of the fingerprint
  uint16_t peer;   // where it lives now; kNoPeer: it has been forgotten
  uint32_t unused;
};
static_assert(sizeof(RelayedChange) == 24);

class StoreRelay {
 public:
  static constexpr size_t kPlaces = 65536;

  void Init() { mutex_.Init(); }
  // How many were pushed: as many as there is room for. All may throw LockBusy.
  size_t Push(std::span<const RelayedChange> changes);
  size_t Take(std::span<RelayedChange> room);  // how many
  size_t Room() const;

 private:
  mutable RobustMutex mutex_;
  // Taken and pushed so far; the places between them are filled. Written last.
  uint64_t head_, tail_;
  std::array<RelayedChange, kPlaces> places_;
};

}  // namespace limpet::shm
