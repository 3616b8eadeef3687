// A worker's signs of life, in its slot of shm::WorkerPulses: once a second, from the loop itself,
// so that a loop that stands still gives none.
#pragma once

#include "conf/config.h"
#include "shm/worker_pulse.h"
#include "worker/net/loop.h"

namespace limpet::worker {

class Heartbeat {
 public:
  Heartbeat(Loop& loop, shm::WorkerPulse& pulse, const conf::Config& config);

  void Start();

 private:
  void Beat();
  void CountFiles();

  Loop& loop_;
  shm::WorkerPulse& pulse_;
  Timer timer_;
  uint64_t beats_ = 0;
};

}  // namespace limpet::worker
