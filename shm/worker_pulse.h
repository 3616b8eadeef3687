// What each worker tells the others and the master about itself, one cache line per worker slot:
// that its loop turns or waits, what it may open, whether it takes connections. Lives beside
// shm::Counters in memory that the master maps before it forks. Only the slot's worker writes
// (relaxed: these are figures, nothing is ordered by them), anybody reads; the master clears a slot
// when its worker has died.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <type_traits>

#include "shm/counters.h"

namespace limpet::shm {

struct alignas(64) WorkerPulse {
  std::atomic<uint64_t> beat_ms{0};  // CLOCK_MONOTONIC of the last beat; 0: it has not begun
  // The generation whose connections the worker accepts; 0: it accepts none (not begun, draining).
  std::atomic<uint64_t> accepts_for{0};
  std::atomic<uint64_t> connections{0};  // to clients, upstreams and all others, at the last beat
  std::atomic<uint64_t> connections_max{0};  // worker_connections
  std::atomic<uint64_t> files{0};            // open descriptors, at the last beat
  std::atomic<uint64_t> files_max{0};        // RLIMIT_NOFILE
  std::atomic<uint64_t> waits{0};            // 1: for a lock that another process keeps
};
static_assert(sizeof(WorkerPulse) == 64);
static_assert(std::is_trivially_destructible_v<WorkerPulse>);

struct WorkerPulses {
  std::array<WorkerPulse, kMaxWorkerSlots> slots;
};

inline void Clear(WorkerPulse& pulse) {
  for (auto* figure : {&pulse.beat_ms, &pulse.accepts_for, &pulse.connections,
                       &pulse.connections_max, &pulse.files, &pulse.files_max, &pulse.waits}) {
    figure->store(0, std::memory_order_relaxed);
  }
}

}  // namespace limpet::shm
