// Gauges of a store, a line for each worker that uses it: those of an old and of a new binary,
// which number their workers alike, are told apart by their process ids. Lies in zeroed shared
// memory; no call takes a lock. A line belongs to its worker until a master says that it has gone.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "shm/counters.h"

namespace limpet::shm {

class StoreWorkers {
 public:
  struct Line {
    std::atomic<int32_t> pid;       // 0: nobody's
    std::atomic<uint32_t> waiting;  // changes that wait for the store
    // 1: it asks the store; 0: it goes on alone, as its connection is lost or an answer was late.
    std::atomic<uint32_t> asking;
  };

  // The worker's own line. If there is none left, one that nobody forgets.
  Line& Of(int32_t pid);
  // By the master, of a worker that has ended, or all that are not among these. What waited in
  // them, and is lost.
  uint64_t Forget(int32_t pid);
  uint64_t KeepOnly(std::span<const int32_t> pids);

  uint64_t Waiting() const { return Sum(&Line::waiting); }
  uint64_t Asking() const { return Sum(&Line::asking); }

 private:
  static constexpr size_t kLines = 2 * size_t{kMaxWorkerSlots};  // of two binaries

  static uint64_t Free(Line& line);
  uint64_t Sum(std::atomic<uint32_t> Line::*gauge) const;

  std::array<Line, kLines + 1> lines_;
};

}  // namespace limpet::shm
