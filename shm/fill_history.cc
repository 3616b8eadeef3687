#include "shm/fill_history.h"

#include <algorithm>
#include <functional>

namespace limpet::shm {
namespace {

uint64_t HashOf(std::string_view zone) {
  return std::max<uint64_t>(1, std::hash<std::string_view>{}(zone));
}

}  // namespace

std::vector<double> FillHistory::OldestFirst() const {
  const uint64_t end = added_.load(std::memory_order_acquire);
  std::vector<double> shares;
  for (uint64_t n = end - std::min<uint64_t>(end, kSamples); n < end; ++n) {
    shares.push_back(shares_[n % kSamples].load(std::memory_order_relaxed) / kOne);
  }
  return shares;
}

FillHistory* FillHistories::FindOrAdd(std::string_view zone) {
  const uint64_t hash = HashOf(zone);
  for (FillHistory& history : zones_) {
    const uint64_t owner = history.zone_.load(std::memory_order_relaxed);
    if (owner == hash) return &history;
    if (owner != 0) continue;
    history.zone_.store(hash, std::memory_order_release);
    return &history;
  }
  return nullptr;
}

const FillHistory* FillHistories::Find(std::string_view zone) const {
  const uint64_t hash = HashOf(zone);
  const auto found = std::find_if(zones_.begin(), zones_.end(), [hash](const FillHistory& history) {
    return history.zone_.load(std::memory_order_acquire) == hash;
  });
  return found == zones_.end() ? nullptr : &*found;
}

}  // namespace limpet::shm
