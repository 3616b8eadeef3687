// What only status pages want to know, of all workers together. The master maps it before it forks,
// all zero at first, which is a good state of each part.
#pragma once

#include <atomic>
#include <cstdint>

#include "shm/check_notes.h"
#include "shm/traffic.h"

namespace limpet::shm {

// The master's, read by anybody: beside shm::Incidents.
struct Mishaps {
  std::atomic<uint64_t> reloads_refused;  // ever
  std::atomic<int64_t> last_death_s;      // of a worker, wall time; 0: none
};

struct StatusMemory {
  Mishaps mishaps;
  CheckNotes notes;
  Traffic traffic;
};

}  // namespace limpet::shm
