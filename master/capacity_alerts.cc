#include "master/capacity_alerts.h"

#include <algorithm>

namespace limpet::master {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

double Share(const shm::FillSample& sample) {
  if (sample.capacity == 0) return -1;  // unknown
  return static_cast<double>(sample.live) / static_cast<double>(sample.capacity);
}

// The fullest worker's; a capacity of 0 if there is no worker.
template <class Figures>
shm::FillSample Worst(const shm::Counters& counters, const shm::WorkerPulses& pulses,
                      uint64_t now_ms, Figures figures) {
  shm::FillSample worst;
  for (size_t i = 0; i < pulses.slots.size(); ++i) {
    if (pulses.slots[i].beat_ms.load(kRelaxed) == 0) continue;
    shm::FillSample sample = figures(counters.slots[i], pulses.slots[i]);
    sample.process = static_cast<int>(counters.slots[i].pid.load(kRelaxed));
    if (Share(sample) > Share(worst)) worst = sample;
  }
  worst.now_ms = now_ms;
  return worst;
}

void Update(shm::FillLevel& level, const shm::FillSample& sample, shm::AlertRing& alerts,
            const Log& log) {
  const auto line = level.Update(sample);
  if (!line) return;
  alerts.Add(line->level, line->text);
  LIMPET_LOG(log, line->level, "{}", line->text);
}

}  // namespace

void CapacityAlerts::Check(shm::Counters& counters, const shm::WorkerPulses& pulses,
                           uint64_t now_ms, const Log& log) {
  using Counters = shm::WorkerCounters;
  using Pulse = shm::WorkerPulse;
  const auto connections = [](const Counters&, const Pulse& p) {
    return shm::FillSample{.live = p.connections.load(kRelaxed),
                           .capacity = p.connections_max.load(kRelaxed)};
  };
  const auto files = [](const Counters&, const Pulse& p) {
    return shm::FillSample{.live = p.files.load(kRelaxed), .capacity = p.files_max.load(kRelaxed)};
  };
  Update(connections_, Worst(counters, pulses, now_ms, connections), counters.alerts, log);
  Update(files_, Worst(counters, pulses, now_ms, files), counters.alerts, log);
}

}  // namespace limpet::master
