// Connection counters of all workers (stub_status, $connections_*), one cache line per worker slot
// so that counting costs nothing shared; and what else status pages show of all processes. Lives in
// memory mapped by the master before it forks; only the slot's worker writes, anybody sums.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "shm/alert_ring.h"
#include "shm/fill_history.h"

namespace limpet::shm {

inline constexpr int kMaxWorkerSlots =
    128;  // slots of worker processes, those of old generations that drain included

struct alignas(64) WorkerCounters {
  std::atomic<uint64_t> accepted{
      0};  // the first three never go down, not even when the worker dies
  std::atomic<uint64_t> handled{0};
  std::atomic<uint64_t> requests{0};
  std::atomic<int64_t> active{0};  // gauges: set to 0 by the master when the slot's worker has died
  std::atomic<int64_t> reading{0};
  std::atomic<int64_t> writing{0};
  std::atomic<int64_t> waiting{0};
  std::atomic<int64_t> pid{0};
};
static_assert(sizeof(WorkerCounters) == 64);

struct Counters {
  std::array<WorkerCounters, kMaxWorkerSlots> slots;
  AlertRing alerts;
  FillHistories fill_histories;
  std::atomic<int64_t> started_s{0};  // wall time at which the master began

  template <class T>
  uint64_t Sum(std::atomic<T> WorkerCounters::*field) const {
    T sum = 0;
    for (const auto& slot : slots) sum += (slot.*field).load(std::memory_order_relaxed);
    return static_cast<uint64_t>(sum);
  }
};

}  // namespace limpet::shm
