// All sessions of a server, forgotten or moved to another, in steps that hold one shard's lock for
// some microseconds each. Sessions that begin at the server meanwhile may stay: the sweep goes over
// each shard twice and then leaves it, so that it ends under any traffic.
#pragma once

#include <chrono>
#include <cstdint>

#include "shm/session_table.h"
#include "shm/store_state.h"

namespace limpet::worker {

class SessionSweep {
 public:
  // to == shm::kNoPeer: forget. `shared`: of a zone that is also in a store, which is told; else
  // null.
  SessionSweep(shm::SessionTable& table, uint16_t from, uint16_t to,
               shm::StoreState* shared = nullptr)
      : table_(&table), from_(from), to_(to), shared_(shared) {}

  // Works for about that long; true: there is more to do.
  bool Step(std::chrono::microseconds time);
  // The last step has done nothing: whoever tells the store has not come by yet.
  bool stuck() const { return stuck_; }
  uint64_t changed() const { return walk_.changed; }
  bool forgets() const { return to_ == shm::kNoPeer; }

 private:
  void LimitPasses(uint32_t shard_before);
  void Work();

  shm::SessionTable* table_;
  uint16_t from_, to_;
  shm::StoreState* shared_;
  bool stuck_ = false;
  shm::PeerWalk walk_;
  int passes_ = 0;  // over the present shard
};

}  // namespace limpet::worker
