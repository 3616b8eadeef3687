// limit_req and limit_conn. Zones are defined before they are named, wherever they stand.
#include <array>
#include <limits>

#include "conf/constant_key.h"
#include "conf/loader.h"
#include "conf/setting.h"
#include "conf/status_zones.h"
#include "conf/tables.h"
#include "conf/zone_use.h"

namespace limpet::conf {
namespace {

constexpr int64_t kMinimumZone = int64_t{8} * 4096;

constexpr std::array kLevels = std::to_array<Choice<LogLevel>>({
    {"info", LogLevel::kInfo},
    {"notice", LogLevel::kNotice},
    {"warn", LogLevel::kWarn},
    {"error", LogLevel::kError},
});

// "NAME:SIZE"
template <class Zone>
Status NameAndSize(const std::string& text, Zone* zone) {
  const size_t colon = text.find(':');
  zone->name = text.substr(0, colon);
  const auto size =
      colon == std::string::npos ? std::nullopt : ParseSizeUnits(text.substr(colon + 1), false);
  if (!size || zone->name.empty())
    return InvalidArgument(fmt::format(
        "invalid zone size \"zone={}\": it is zone=NAME:SIZE, a size is 10m or 64k", text));
  if (*size < kMinimumZone)
    return InvalidArgument(fmt::format("zone \"zone={}\" is too small: it is at least {}k", text,
                                       kMinimumZone / 1024));
  zone->size = static_cast<size_t>(*size);
  return {};
}

template <class Zones>
int FindZone(const Zones& zones, std::string_view name) {
  for (size_t i = 0; i < zones.size(); ++i) {
    if (zones[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

template <class Zones>
Status AddZone(Block& b, const Directive& d, Zones* zones, typename Zones::value_type zone) {
  if (zone.name.empty())
    return InvalidArgument(fmt::format("\"{}\" must have \"zone\" parameter", d.name));
  if (const int old = FindZone(*zones, zone.name); old >= 0) {
    return InvalidArgument(fmt::format("{} \"{}\" is already bound to key \"{}\"", d.name,
                                       zone.name, (*zones)[static_cast<size_t>(old)].key.source()));
  }
  constexpr bool kReq = std::is_same_v<typename Zones::value_type, LimitReqZone>;
  if (Status s = CheckZoneUse(*b.http, zone.name, kReq ? ZoneUse::kLimitReq : ZoneUse::kLimitConn);
      !s)
    return s;
  const auto kind = kReq ? StatusZoneKind::kLimitReq : StatusZoneKind::kLimitConn;
  zone.status_zone = StatusZoneOf(*b.http, kind, zone.name, Where(d));
  zones->push_back(std::move(zone));
  return {};
}

Status ReqZone(Block& b, const Directive& d) {
  LimitReqZone zone{.rate = 1000};
  if (Status s = CompileKey(b, d, d.args[0], zone.key); !s) return s;
  for (size_t i = 1; i < d.args.size(); ++i) {
    if (const auto name = After(d.args[i], "zone=")) {
      if (Status s = NameAndSize(*name, &zone); !s) return s;
    } else if (const auto text = After(d.args[i], "rate=")) {
      const auto rate = ParseRate(*text);
      if (!rate)
        return InvalidArgument(
            fmt::format("invalid rate \"{}\": a rate is 10r/s or 30r/m, above 0", d.args[i]));
      zone.rate = *rate;
    } else if (d.args[i] == "sync") {
      b.loader.Warn(d, "\"sync\" is left out: requests are counted by each machine");
    } else {
      return InvalidParameter(d.args[i]);
    }
  }
  return AddZone(b, d, &b.http->limit_req_zones, std::move(zone));
}

Status ConnZone(Block& b, const Directive& d) {
  LimitConnZone zone;
  if (Status s = CompileKey(b, d, d.args[0], zone.key); !s) return s;
  const auto name = After(d.args[1], "zone=");
  if (!name) return InvalidParameter(d.args[1]);
  if (Status s = NameAndSize(*name, &zone); !s) return s;
  return AddZone(b, d, &b.http->limit_conn_zones, std::move(zone));
}

Error NoSuchZone(std::string_view name) {
  return InvalidArgument(fmt::format("zero size shared memory zone \"{}\"", name));
}

Status ReqParameter(Block& b, const std::string& text, LimitReq* limit) {
  if (const auto name = After(text, "zone=")) {
    limit->zone = FindZone(b.http->limit_req_zones, *name);
    if (limit->zone < 0) return NoSuchZone(*name);
    return {};
  }
  if (text == "nodelay") {
    limit->delay = std::numeric_limits<uint64_t>::max();
    return {};
  }
  const bool is_burst = text.starts_with("burst=");
  const auto value = is_burst ? After(text, "burst=") : After(text, "delay=");
  if (!value) return InvalidParameter(text);
  const auto n = ParseDecimal(*value);
  if (!n || *n == 0 || *n > INT32_MAX) {
    return InvalidArgument(fmt::format("invalid {} value \"{}\": the number is 1 to {}",
                                       is_burst ? "burst" : "delay", text, INT32_MAX));
  }
  (is_burst ? limit->burst : limit->delay) = *n;
  return {};
}

Status Req(Block& b, const Directive& d) {
  auto& limits = b.location->access.limit_req.limits;
  if (b.First(&limits)) limits.clear();
  LimitReq limit;
  for (const std::string& text : d.args) {
    if (Status s = ReqParameter(b, text, &limit); !s) return s;
  }
  if (limit.zone < 0) return InvalidArgument("\"limit_req\" must have \"zone\" parameter");
  for (const LimitReq& other : limits) {
    if (other.zone == limit.zone) return Refuse(d, "is duplicate");
  }
  limits.push_back(limit);
  return {};
}

Status Conn(Block& b, const Directive& d) {
  auto& limits = b.location->access.limit_conn.limits;
  if (b.First(&limits)) limits.clear();
  LimitConn limit;
  limit.zone = FindZone(b.http->limit_conn_zones, d.args[0]);
  if (limit.zone < 0) return NoSuchZone(d.args[0]);
  const auto n = ParseDecimal(d.args[1]);
  if (!n || *n == 0)
    return InvalidArgument(
        fmt::format("invalid number of connections \"{}\": it is 1 to 65535", d.args[1]));
  if (*n > 65535)
    return InvalidArgument(fmt::format("connection limit must be less 65536, not {}", d.args[1]));
  limit.connections = static_cast<uint32_t>(*n);
  for (const LimitConn& other : limits) {
    if (other.zone == limit.zone) return Refuse(d, "is duplicate");
  }
  limits.push_back(limit);
  return {};
}

using R = LimitReqSettings;
using C = LimitConnSettings;
using A = AccessSettings;
constexpr uint32_t kHere = kHttpServerLocation;

constexpr std::array kRows = std::to_array<Row>({
    {"limit_req_zone", kHttp, Takes(3, 4), kMany | kEarly, ReqZone, "",
     "KEY zone=NAME:SIZE rate=Nr/s|Nr/m: counts requests"},
    {"limit_req", kHere, Takes(1, 2, 3), kMany, Req, "", "zone=NAME [burst=N] [nodelay | delay=N]"},
    {"limit_req_status", kHere, kOneArg, kOnce,
     Setting<Number<400, 599>, &Location::access, &A::limit_req, &R::status>, "503",
     "status of what is refused"},
    {"limit_req_log_level", kHere, kOneArg, kOnce,
     Setting<OneOf<kLevels>, &Location::access, &A::limit_req, &R::log_level>, "error",
     "info | notice | warn | error; delays are logged one level lower"},
    {"limit_req_dry_run", kHere, kOneArg, kOnce,
     Setting<Flag, &Location::access, &A::limit_req, &R::dry_run>, "off",
     "only log what would be limited"},
    {"limit_conn_zone", kHttp, Takes(2), kMany | kEarly, ConnZone, "",
     "KEY zone=NAME:SIZE: counts connections"},
    {"limit_conn", kHere, Takes(2), kMany, Conn, "", "ZONE N: connections at the same time"},
    {"limit_conn_status", kHere, kOneArg, kOnce,
     Setting<Number<400, 599>, &Location::access, &A::limit_conn, &C::status>, "503",
     "status of what is refused"},
    {"limit_conn_log_level", kHere, kOneArg, kOnce,
     Setting<OneOf<kLevels>, &Location::access, &A::limit_conn, &C::log_level>, "error",
     "info | notice | warn | error"},
    {"limit_conn_dry_run", kHere, kOneArg, kOnce,
     Setting<Flag, &Location::access, &A::limit_conn, &C::dry_run>, "off",
     "only log what would be refused"},
});

}  // namespace

constinit const std::span<const Row> kLimitDirectives = kRows;

}  // namespace limpet::conf
