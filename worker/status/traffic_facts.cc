#include "worker/status/traffic_facts.h"

#include <algorithm>
#include <utility>

#include "worker/status/peer_facts.h"

namespace limpet::worker {
namespace {

uint32_t PlaceOf(const StatusSource& source, size_t upstream) {
  return upstream < source.traffic_places.size() ? source.traffic_places[upstream]
                                                 : shm::Traffic::kOthers;
}

}  // namespace

std::vector<UpstreamTraffic> TrafficOf(const StatusSource& source) {
  std::vector<UpstreamTraffic> all;
  if (source.status == nullptr) return all;
  for (size_t i = 0; i < source.http.upstreams.size(); ++i) {
    const uint32_t place = PlaceOf(source, i);
    if (place == shm::Traffic::kOthers) continue;
    const conf::Upstream& conf = *source.http.upstreams[i];
    all.push_back({UpstreamName(conf), &conf, source.status->traffic.Sum(place)});
  }
  const shm::TrafficSums others = source.status->traffic.Sum(shm::Traffic::kOthers);
  if (others.requests() == 0) return all;
  const auto namesake = std::ranges::find(all, "other", &UpstreamTraffic::name);  // they are one
  if (namesake != all.end()) {
    namesake->sums += others;
  } else {
    all.push_back({"other", nullptr, others});
  }
  return all;
}

shm::TrafficSums TrafficOf(const StatusSource& source, const conf::Upstream& upstream) {
  const auto index = static_cast<size_t>(upstream.index);
  const uint32_t place = PlaceOf(source, index);
  if (source.status == nullptr || place == shm::Traffic::kOthers) return {};
  return source.status->traffic.Sum(place);
}

}  // namespace limpet::worker
