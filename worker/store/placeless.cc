#include "worker/store/placeless.h"

namespace limpet::worker {

void Placeless::Add(const StoreKey& key, uint16_t peer, uint64_t now_ms) {
  if (entries_.empty()) entries_.resize(kEntries);
  entries_[key.tag % kEntries] = {key, now_ms + kRememberedMs, peer};
}

void Placeless::Forget(const StoreKey& key) {
  if (entries_.empty()) return;
  Entry& entry = entries_[key.tag % kEntries];
  if (entry.key == key) entry.until_ms = 0;
}

uint16_t Placeless::Find(const StoreKey& key, uint64_t now_ms) const {
  if (entries_.empty()) return shm::kNoPeer;
  const Entry& entry = entries_[key.tag % kEntries];
  return now_ms < entry.until_ms && entry.key == key ? entry.peer : shm::kNoPeer;
}

}  // namespace limpet::worker
