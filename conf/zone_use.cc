#include "conf/zone_use.h"

#include <fmt/core.h>

#include <algorithm>

namespace limpet::conf {

Status CheckZoneUse(const Http& http, std::string_view name, ZoneUse use) {
  const auto in = [&](const auto& zones, ZoneUse theirs) {
    return theirs != use &&
           std::ranges::any_of(zones, [name](const auto& zone) { return zone.name == name; });
  };
  if (!in(http.limit_req_zones, ZoneUse::kLimitReq) &&
      !in(http.limit_conn_zones, ZoneUse::kLimitConn) &&
      !in(http.tls_session_zones, ZoneUse::kTlsSessions))
    return {};
  return InvalidArgument(
      fmt::format("the shared memory zone \"{}\" is already declared for a different use", name));
}

}  // namespace limpet::conf
