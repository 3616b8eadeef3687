// Says in the log when workers run short of connections or descriptors, once per level, as
// shm::FillLevel does for session zones. The worker that is worst off speaks for all: one line, not
// one for each worker. Status pages get the lines, too (Counters::alerts).
#pragma once

#include <cstdint>

#include "base/log.h"
#include "shm/counters.h"
#include "shm/fill_level.h"
#include "shm/worker_pulse.h"

namespace limpet::master {

class CapacityAlerts {
 public:
  // About once a second.
  void Check(shm::Counters& counters, const shm::WorkerPulses& pulses, uint64_t now_ms,
             const Log& log);

 private:
  static constexpr shm::FillLimits kLimits{};  // those of session zones

  shm::FillLevel connections_{{"worker_connections", "connections", false}, kLimits};
  shm::FillLevel files_{{"open files", "files", false}, kLimits};
};

}  // namespace limpet::master
