#include "master/incident_sums.h"

#include <algorithm>

namespace limpet::master {

IncidentSums CountedIncidents(const shm::Incidents& incidents, const shm::Mishaps& mishaps) {
  IncidentSums sums{.worker_deaths = {},
                    .no_live_upstreams = incidents.no_live_upstreams,
                    .reloads_refused = mishaps.reloads_refused,
                    .last_death_s = mishaps.last_death_s};
  std::ranges::copy(incidents.worker_deaths, sums.worker_deaths.begin());
  return sums;
}

void GoOnFrom(const IncidentSums& before, shm::Incidents& incidents, shm::Mishaps& mishaps) {
  for (size_t i = 0; i < before.worker_deaths.size(); ++i)
    incidents.worker_deaths[i] = before.worker_deaths[i];
  incidents.no_live_upstreams = before.no_live_upstreams;
  mishaps.reloads_refused = before.reloads_refused;
  mishaps.last_death_s = before.last_death_s;
}

}  // namespace limpet::master
