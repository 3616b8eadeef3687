#include "conf/status_zones.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace limpet::conf {

int StatusZoneOf(Http& http, StatusZoneKind kind, std::string_view name, std::string declared_at) {
  auto& zones = http.status_zones;
  const auto known = std::ranges::find_if(
      zones, [&](const StatusZone& zone) { return zone.kind == kind && zone.name == name; });
  if (known != zones.end()) return static_cast<int>(known - zones.begin());
  StatusZone& added = zones.emplace_back();
  added.kind = kind;
  added.name = name;
  added.declared_at = std::move(declared_at);
  const bool may_have_key = kind == StatusZoneKind::kServer || kind == StatusZoneKind::kLocation;
  if (!may_have_key) added.values = 0;
  return static_cast<int>(zones.size()) - 1;
}

Status FinishStatusZones(Http& http) {
  for (const auto& server : http.servers) {
    if (server->status_zone.zone < 0) continue;
    StatusZone& zone = http.status_zones[static_cast<size_t>(server->status_zone.zone)];
    zone.tls |= std::ranges::any_of(server->listens, &Listen::ssl);
  }
  for (const StatusZone& zone : http.status_zones) {
    if (zone.values && (*zone.values > 0 || !zone.has_key)) continue;
    return InvalidArgument(fmt::format(
        "nothing says how many values the status zone \"{}\" has: write zone={}:COUNT in {}",
        zone.name, zone.name, zone.declared_at));
  }
  return {};
}

}  // namespace limpet::conf
