// What workers count of the requests of each upstream: how its sessions stuck, answers by class,
// how long they took. Each worker has a line of its own for each upstream, so that counting costs a
// few additions and nobody waits; the sums are taken when somebody asks. Lines only grow (but for
// their gauge), for as long as their upstream keeps its place. Lives in memory that the master maps
// before it forks, all zero at first: of a slot nobody has used, no page is touched. Times are
// milliseconds.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "shm/counters.h"  // kMaxWorkerSlots
#include "shm/words.h"

namespace limpet::shm {

// The sums of all workers; the form of a line, too.
struct TrafficSums {
  static constexpr size_t kStickyWords = 16;  // room for those of $sticky_status
  static constexpr size_t kClasses = 6;       // of answers: none, 1xx … 5xx
  // The upper bounds of the times that are counted apart; what takes longer comes last.
  static constexpr std::array<uint32_t, 15> kBoundsMs = {
      1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000, 60000};

  std::array<uint64_t, kStickyWords> by_sticky{};  // in the order of worker::StickyStatus
  std::array<uint64_t, kClasses> by_class{};
  std::array<uint64_t, kBoundsMs.size() + 1> by_time{};  // those that took at most so long
  uint64_t time_ms = 0;                                  // of all in by_time together
  uint64_t waiting = 0;  // a gauge: requests in the queue of the upstream

  uint64_t requests() const;
  uint64_t timed() const;
  // The time that so many of a hundred do not exceed, taken in a straight line within its bounds; 0
  // if nothing has been timed.
  double PercentileMs(double percent) const;
  TrafficSums& operator+=(const TrafficSums& other);
};

struct alignas(64) TrafficLine {
  TrafficSums counted;

  // By the one worker of the line. `took_ms` < 0: its time says nothing (a tunnel's).
  void Add(size_t sticky_word, int status, int64_t took_ms) {
    Grow(counted.by_sticky[std::min(sticky_word, TrafficSums::kStickyWords - 1)]);
    const bool has_class = status >= 100 && status < 600;
    Grow(counted.by_class[has_class ? static_cast<size_t>(status / 100) : 0]);
    if (took_ms < 0) return;
    const auto bound =
        std::lower_bound(TrafficSums::kBoundsMs.begin(), TrafficSums::kBoundsMs.end(), took_ms);
    Grow(counted.by_time[static_cast<size_t>(bound - TrafficSums::kBoundsMs.begin())]);
    Grow(counted.time_ms, static_cast<uint64_t>(took_ms));
  }
  void SetWaiting(uint64_t requests) { StoreRelaxed(counted.waiting, requests); }

 private:
  // Nobody else writes: no locked instruction is needed.
  static void Grow(uint64_t& counter, uint64_t n = 1) {
    StoreRelaxed(counter, LoadRelaxed(counter) + n);
  }
};
static_assert(sizeof(TrafficLine) == 320);

// The course of requests and of answers 5xx over the last hour, in samples of one writer (the
// master). What a reader sees may be a sample short.
class TrafficHistory {
 public:
  static constexpr uint64_t kEveryMs = 20'000;
  static constexpr size_t kSamples = 180;
  struct Sample {
    uint32_t requests = 0, faults = 0;
  };

  void Add(Sample sample);
  std::vector<Sample> OldestFirst() const;

 private:
  uint64_t added_;
  std::array<uint64_t, kSamples> samples_;
};

struct Traffic {
  static constexpr size_t kPlaces = 512;
  // Of upstreams without a place of their own: those that a proxy_pass with variables names, and
  // those for which none was left.
  static constexpr uint32_t kOthers = 0;

  std::array<uint64_t, kMaxWorkerSlots> used;  // not 0: a worker has had this slot
  TrafficHistory history;
  std::array<std::array<TrafficLine, kPlaces>, kMaxWorkerSlots> lines;

  // The line of a worker that begins in this slot.
  void Use(int slot) { StoreRelease(used[Index(slot)], 1); }
  TrafficLine& Line(int slot, uint32_t place) { return lines[Index(slot)][place]; }
  TrafficSums Sum(uint32_t place) const;
  void Clear(uint32_t place);  // the master's: an upstream has gone, and no worker counts there

 private:
  static size_t Index(int slot) { return static_cast<size_t>(slot) % kMaxWorkerSlots; }
};

}  // namespace limpet::shm
