#include "worker/http/exchange/zone_counts.h"

#include <algorithm>

namespace limpet::worker {

ZoneCounts::ZoneCounts(const conf::Http& http, const std::vector<shm::StatusZone*>& zones, int slot)
    : zones_(zones), values_(zones.size()), slot_(slot) {
  for (shm::StatusZone* zone : zones_) zone->Use(slot);
  any_requests_ = std::ranges::any_of(http.status_zones, [](const conf::StatusZone& zone) {
    return zone.kind == conf::StatusZoneKind::kServer ||
           zone.kind == conf::StatusZoneKind::kLocation;
  });
}

shm::ZoneLine& ZoneCounts::Own(int zone) {
  const auto at = static_cast<size_t>(zone);
  return zone >= 0 && at < zones_.size() ? zones_[at]->Line(slot_, shm::StatusZone::kOwn) : unseen_;
}

shm::ZoneLine& ZoneCounts::Of(int zone, std::string_view value) {
  const auto at = static_cast<size_t>(zone);
  if (at >= zones_.size()) return unseen_;
  shm::StatusZone& shared = *zones_[at];
  Values& values = values_[at];
  if (const auto known = values.lines.find(value); known != values.lines.end())
    return *known->second;
  for (const uint32_t taken = shared.taken(); values.read < taken;) {  // others have named these
    const uint32_t place = ++values.read;
    if (const std::string_view name = shared.NameOf(place); !name.empty())
      values.lines.emplace(name, &shared.Line(slot_, place));
  }
  if (const auto known = values.lines.find(value); known != values.lines.end())
    return *known->second;
  const uint32_t place = shared.Take(value);
  if (place == shm::StatusZone::kOwn) return Own(zone);
  return *values.lines.emplace(value, &shared.Line(slot_, place)).first->second;
}

}  // namespace limpet::worker
