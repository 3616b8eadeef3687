#include "shm/store_state.h"

namespace limpet::shm {

void StoreState::Init(uint16_t machine) {
  follow_mutex_.Init();
  relay.Init();
  machine_.store(machine, std::memory_order_relaxed);
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

void StoreState::Note(uint64_t tag, const StoreVersion& version) {
  if (HasNewer(tag, version)) return;
  NoteLine& line = notes_[tag % kNotes];
  line.mixed.store(tag ^ version.time, std::memory_order_relaxed);
  line.time.store(version.time, std::memory_order_relaxed);
}

uint64_t StoreState::NotedTime(uint64_t tag) const {
  const NoteLine& line = notes_[tag % kNotes];
  const uint64_t time = line.time.load(std::memory_order_relaxed);
  return (line.mixed.load(std::memory_order_relaxed) ^ time) == tag ? time : 0;
}

}  // namespace limpet::shm
