// Spreads connections evenly over workers that wait at one listening socket. The kernel wakes them
// all, and whoever is first would take everything: so a worker that holds clearly more connections
// than the one with the fewest stands back for a moment. Nothing waits for a worker that is stuck:
// standing back is bounded, and who does not give signs of life is not compared with.
#pragma once

#include <cstdint>

#include "shm/counters.h"
#include "shm/worker_pulse.h"

namespace limpet::worker {

class AcceptShare {
 public:
  struct Inputs {
    const shm::Counters* counters;
    const shm::WorkerPulses* pulses;
    int slot;
    uint64_t generation;  // only its workers accept from the same sockets for long
  };
  explicit AcceptShare(const Inputs& inputs) : in_(inputs) {}

  // Asked before each accept; false: try again in a few milliseconds.
  bool MayAccept(uint64_t now_ms);

  // Workers of another generation still take connections (and give signs of life).
  bool AnotherGenerationAccepts(uint64_t now_ms) const;

 private:
  struct Others {
    int64_t fewest;     // connections of the worker that has the fewest
    uint64_t accepted;  // by all that accept from the same sockets
  };
  Others LookAtOthers(uint64_t now_ms) const;

  Inputs in_;
  int stood_back_ = 0;          // times in a row in which nobody took anything
  uint64_t accepted_then_ = 0;  // Others::accepted at the last of them
  int owed_ = 0;                // accepts without comparing
};

}  // namespace limpet::worker
