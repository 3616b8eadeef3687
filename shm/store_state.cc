#include "shm/store_state.h"

#include <chrono>
#include <thread>

namespace limpet::shm {
namespace {

// In the noted time, which is none that a clock shows.
constexpr uint64_t kEnd = uint64_t{1} << 63;

}  // namespace

void StoreState::Init(uint16_t machine) {
  follow_mutex_.Init();
  relay.Init();
  machine_.store(machine | StoreVersion::kChange, std::memory_order_relaxed);
}

StoreVersion StoreState::Next(uint64_t wall_ms) {
  uint64_t last = clock_.load(std::memory_order_relaxed);
  uint64_t next;
  do {
    next = NextStoreTime(last, wall_ms);
  } while (!clock_.compare_exchange_weak(last, next, std::memory_order_relaxed));
  if (next < last) all_due.store(1, std::memory_order_relaxed);
  return {next, machine()};
}

void StoreState::Observe(const StoreVersion& seen) {
  uint64_t last = clock_.load(std::memory_order_relaxed);
  while (last < seen.time &&
         !clock_.compare_exchange_weak(last, seen.time, std::memory_order_relaxed)) {
  }
}

// One at a time, or an older version could come after a newer one. Whoever has died meanwhile is
// not waited for.
void StoreState::Note(uint64_t tag, const StoreVersion& version, uint64_t wall_ms, bool is_end) {
  constexpr int kMostLooks = 32'000;  // some 50 milliseconds
  NoteLine& line = notes_[tag % kNotes];
  uint64_t mixed = line.mixed.load(std::memory_order_acquire);
  for (int look = 0; look < kMostLooks; ++look) {
    const uint64_t noted = line.time.load(std::memory_order_relaxed);
    const uint64_t time = noted & ~kEnd;
    if (mixed == kBeingWritten) {
      if (look % 64 == 63) std::this_thread::sleep_for(std::chrono::microseconds(100));
      mixed = line.mixed.load(std::memory_order_acquire);
    } else if (time > version.time && IsCredible(time, wall_ms)) {
      return;  // of whatever session: what is read again drives out nothing newer
    } else if ((mixed ^ noted) == tag && time == version.time) {
      return;
    } else if (line.mixed.compare_exchange_weak(mixed, kBeingWritten, std::memory_order_acquire)) {
      break;
    }
  }
  const uint64_t noted = version.time | (is_end ? kEnd : 0);
  line.time.store(noted, std::memory_order_relaxed);
  line.mixed.store(tag ^ noted, std::memory_order_release);
}

uint64_t StoreState::NotedTime(uint64_t tag, uint64_t wall_ms) const {
  return Noted(tag, wall_ms) & ~kEnd;
}

uint64_t StoreState::NotedEnd(uint64_t tag, uint64_t wall_ms) const {
  const uint64_t noted = Noted(tag, wall_ms);  // once: it may be another one the next time
  return (noted & kEnd) != 0 ? noted & ~kEnd : 0;
}

uint64_t StoreState::Noted(uint64_t tag, uint64_t wall_ms) const {
  const NoteLine& line = notes_[tag % kNotes];
  const uint64_t noted = line.time.load(std::memory_order_relaxed);
  const bool is_it = (line.mixed.load(std::memory_order_relaxed) ^ noted) == tag;
  return is_it && IsCredible(noted & ~kEnd, wall_ms) ? noted : 0;
}

}  // namespace limpet::shm
