// Changes of sessions that have been made in a zone and are to be told to its store: by those who
// do not speak with it themselves (the API, the command line), and by workers that have not reached
// it. The worker that follows the store's changes tells it of them. Always: a change stays here
// until the store has answered; it may be told more than once. Lies in zeroed shared memory, as
// part of StoreState. A process may die anywhere.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "shm/robust_mutex.h"

namespace limpet::shm {

struct RelayedChange {
  uint64_t tag;    // of the session's fingerprint
  uint64_t time;   // StoreVersion::time
  uint16_t extra;  // of the fingerprint
  uint16_t peer;   // where it lives now; kNoPeer: it has been forgotten
  uint32_t check;  // of that server's name: by the time it is told, the place may be another's
};
static_assert(sizeof(RelayedChange) == 24);

class StoreRelay {
 public:
  static constexpr size_t kPlaces = 65536;
  static constexpr size_t kReserve = kPlaces / 4;  // which workers leave to the API

  static uint32_t CheckOf(std::string_view server);

  void Init() { mutex_.Init(); }
  // How many were pushed: as many as there is room for. All may throw LockBusy.
  size_t Push(std::span<const RelayedChange> changes);
  // By the worker that tells the store: the oldest, which stay; how many. Drop: they have arrived.
  size_t Peek(std::span<RelayedChange> room) const;
  void Drop(size_t count);
  size_t Room() const;
  bool HasRoomForWorkers() const { return Room() > kReserve; }

 private:
  mutable RobustMutex mutex_;
  // Dropped and pushed so far; the places between them are filled. Written last.
  uint64_t head_, tail_;
  std::array<RelayedChange, kPlaces> places_;
};

}  // namespace limpet::shm
