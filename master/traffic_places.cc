#include "master/traffic_places.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace limpet::master {
namespace {

// Two addresses that proxy_pass names may differ in their port alone.
std::string KeyOf(const conf::Upstream& upstream) {
  if (!upstream.implicit || upstream.servers.empty()) return upstream.name;
  return fmt::format("{} {}", upstream.name, upstream.servers[0].port);
}

}  // namespace

TrafficPlaces::TrafficPlaces(shm::Traffic& traffic) : traffic_(traffic) {
  for (uint32_t place = shm::Traffic::kPlaces - 1; place > shm::Traffic::kOthers; --place)
    free_.push_back(place);
}

std::vector<NamedTraffic> TrafficPlaces::Counted() const {
  std::vector<NamedTraffic> counted{{"", traffic_.Sum(shm::Traffic::kOthers)}};
  for (const auto& [name, place] : held_) counted.push_back({name, traffic_.Sum(place->index)});
  return counted;
}

// Of all slots the last is used least; sums do not care.
void TrafficPlaces::GoOnFrom(const std::vector<NamedTraffic>& counted) {
  constexpr int kSlot = shm::kMaxWorkerSlots - 1;
  traffic_.Use(kSlot);
  for (const NamedTraffic& of : counted) {
    const uint32_t place = of.name.empty() ? shm::Traffic::kOthers : PlaceOf(of.name)->index;
    shm::TrafficLine& line = traffic_.Line(kSlot, place);
    line.counted += of.sums;
    line.SetWaiting(0);
  }
}

TrafficPlace TrafficPlaces::Find(const conf::Upstream& upstream) {
  return PlaceOf(KeyOf(upstream));
}

TrafficPlace TrafficPlaces::PlaceOf(const std::string& key) {
  if (const auto known = held_.find(key); known != held_.end()) return known->second;
  if (free_.empty()) Collect();
  if (free_.empty()) return std::make_shared<HeldPlace>();
  auto place = std::make_shared<HeldPlace>(HeldPlace{free_.back()});
  free_.pop_back();
  held_.emplace(key, place);
  return place;
}

// Of no generation. A worker of an earlier one that still drains may count a little there: these
// are figures.
void TrafficPlaces::Collect() {
  std::erase_if(held_, [this](const auto& entry) {
    if (entry.second.use_count() > 1) return false;
    traffic_.Clear(entry.second->index);
    free_.push_back(entry.second->index);
    return true;
  });
}

void TrafficPlaces::ForgetWorker(int slot) {
  for (const auto& [name, place] : held_) traffic_.Line(slot, place->index).SetWaiting(0);
}

uint64_t TrafficPlaces::Faults() const {
  constexpr size_t k5xx = 5;
  uint64_t faults = traffic_.Sum(shm::Traffic::kOthers).by_class[k5xx];
  for (const auto& [name, place] : held_) faults += traffic_.Sum(place->index).by_class[k5xx];
  return faults;
}

void TrafficPlaces::Tick(uint64_t now_ms, uint64_t requests) {
  if (now_ms < sample_at_ms_) return;
  const bool first = sample_at_ms_ == 0;
  sample_at_ms_ = now_ms + shm::TrafficHistory::kEveryMs;
  const uint64_t faults = Faults();
  const auto grown = [](uint64_t before, uint64_t now) {
    return static_cast<uint32_t>(std::min<uint64_t>(now > before ? now - before : 0, UINT32_MAX));
  };
  if (!first) traffic_.history.Add({grown(requests_, requests), grown(faults_, faults)});
  requests_ = requests;
  faults_ = faults;
}

}  // namespace limpet::master
