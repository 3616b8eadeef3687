// What has happened to a service, from binary to binary: the numbers are its whole life's.
#pragma once

#include <array>
#include <cstdint>

#include "shm/counters.h"
#include "shm/status_memory.h"

namespace limpet::master {

struct IncidentSums {
  std::array<uint64_t, shm::Incidents::kDeaths> worker_deaths{};
  uint64_t no_live_upstreams = 0;
  uint64_t reloads_refused = 0;
  int64_t last_death_s = 0;
};

IncidentSums CountedIncidents(const shm::Incidents& incidents, const shm::Mishaps& mishaps);
// Before any worker begins.
void GoOnFrom(const IncidentSums& before, shm::Incidents& incidents, shm::Mishaps& mishaps);

}  // namespace limpet::master
