#include "shm/store_state.h"

namespace limpet::shm {

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
  return {next, machine()};
}

void StoreState::Observe(const StoreVersion& seen) {
  uint64_t last = clock_.load(std::memory_order_relaxed);
  while (last < seen.time &&
         !clock_.compare_exchange_weak(last, seen.time, std::memory_order_relaxed)) {
  }
}

// Each word only over what was read: who was overtaken looks again, and does not put an older
// version over a newer one.
void StoreState::Note(uint64_t tag, const StoreVersion& version) {
  NoteLine& line = notes_[tag % kNotes];
  bool is_noted = false;
  while (!is_noted) {
    uint64_t time = line.time.load(std::memory_order_relaxed);
    uint64_t mixed = line.mixed.load(std::memory_order_relaxed);
    const bool is_newer = (mixed ^ time) == tag && time >= version.time;
    is_noted = is_newer || (line.time.compare_exchange_strong(time, version.time) &&
                            line.mixed.compare_exchange_strong(mixed, tag ^ version.time));
  }
}

uint64_t StoreState::NotedTime(uint64_t tag) const {
  const NoteLine& line = notes_[tag % kNotes];
  const uint64_t time = line.time.load(std::memory_order_relaxed);
  return (line.mixed.load(std::memory_order_relaxed) ^ time) == tag ? time : 0;
}

}  // namespace limpet::shm
