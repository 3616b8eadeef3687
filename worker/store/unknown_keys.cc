#include "worker/store/unknown_keys.h"

namespace limpet::worker {

void UnknownKeys::Add(const StoreKey& key, uint64_t now_ms) {
  entries_[key.tag % entries_.size()] = {key, now_ms + kRememberedMs};
}

void UnknownKeys::Forget(const StoreKey& key) {
  Entry& entry = entries_[key.tag % entries_.size()];
  if (entry.key == key) entry.until_ms = 0;
}

bool UnknownKeys::Has(const StoreKey& key, uint64_t now_ms) const {
  const Entry& entry = entries_[key.tag % entries_.size()];
  return now_ms < entry.until_ms && entry.key == key;
}

}  // namespace limpet::worker
