// Connection counters of all workers (stub_status, $connections_*), one cache line per worker slot
// so that counting costs nothing shared; and what else status pages show of all processes. Lives in
// memory mapped by the master before it forks; only the slot's worker writes, anybody sums.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "shm/alert_ring.h"
#include "shm/fill_history.h"

namespace limpet::shm {

// Slots of worker processes, those of old generations that drain included.
inline constexpr int kMaxWorkerSlots = 128;

struct alignas(64) WorkerCounters {
  // The first three never go down, not even when the worker dies.
  std::atomic<uint64_t> accepted{0};
  std::atomic<uint64_t> handled{0};
  std::atomic<uint64_t> requests{0};
  std::atomic<int64_t> active{0};  // gauges: set to 0 by the master when the slot's worker has died
  std::atomic<int64_t> reading{0};
  std::atomic<int64_t> writing{0};
  std::atomic<int64_t> waiting{0};
  std::atomic<int64_t> pid{0};
};
static_assert(sizeof(WorkerCounters) == 64);

// What should never happen, and does.
struct Incidents {
  enum Death : uint8_t { kBySignal, kByWatchdog, kByExit /* with a code that is not 0 */, kDeaths };
  static constexpr std::array<const char*, kDeaths> kDeathNames = {"signal", "watchdog", "exit"};

  std::array<std::atomic<uint64_t>, kDeaths> worker_deaths{};
  std::atomic<uint64_t> no_live_upstreams{0};  // requests that found no live server
  std::atomic<bool> reload_refused{false};     // the last one: an earlier configuration serves
  std::atomic<int64_t> loaded_s{0};            // wall time at which the one that serves was loaded
};

struct Counters {
  std::array<WorkerCounters, kMaxWorkerSlots> slots;
  AlertRing alerts;
  FillHistories fill_histories;
  Incidents incidents;
  std::atomic<int64_t> started_s{0};  // wall time at which the master began

  template <class T>
  uint64_t Sum(std::atomic<T> WorkerCounters::*field) const {
    T sum = 0;
    for (const auto& slot : slots) sum += (slot.*field).load(std::memory_order_relaxed);
    return static_cast<uint64_t>(sum);
  }
  // Those that live, of all generations.
  size_t Workers() const {
    size_t count = 0;
    for (const auto& slot : slots) count += slot.pid.load(std::memory_order_relaxed) != 0 ? 1 : 0;
    return count;
  }
};

}  // namespace limpet::shm
