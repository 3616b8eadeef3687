#include "conf/session_zone.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "conf/named_stores.h"
#include "conf/setting.h"

namespace limpet::conf {
namespace {

constexpr int64_t kMinimumSize = int64_t{8} * 4096;  // nginx's: 8 pages
constexpr uint64_t kMaxCookieSize = 65536;
constexpr uint64_t kMostSessions = 1'000'000'000;

bool SameFill(const FillLimits& a, const FillLimits& b) {
  return a.minor == b.minor && a.major == b.major && a.crit == b.crit;
}

// What tells the servers of an upstream apart. Of those looked up at run time only the name is
// known here.
std::set<std::string> ServerIds(const Upstream& upstream) {
  std::set<std::string> ids;
  for (const UpstreamServer& server : upstream.servers) {
    if (!server.route.empty()) {
      ids.insert(server.route);
    } else if (server.resolve) {
      ids.insert(server.name);
    } else {
      for (const SocketAddress& address : server.addresses) ids.insert(address.ToString());
    }
  }
  return ids;
}

Status CheckSameServers(const Upstream& a, const Upstream& b, const std::string& zone) {
  const std::set<std::string> in_a = ServerIds(a);
  const std::set<std::string> in_b = ServerIds(b);
  std::vector<std::string> only;
  std::ranges::set_symmetric_difference(in_a, in_b, std::back_inserter(only));
  if (only.empty()) return {};
  return InvalidArgument(fmt::format(
      "sticky zone \"{}\" is shared by upstreams \"{}\" and \"{}\" with different "
      "servers: \"{}\" is only in \"{}\" in {}",
      zone, a.name, b.name, only[0], in_a.contains(only[0]) ? a.name : b.name, b.declared_at));
}

}  // namespace

Status SessionZoneParser::Zone(const std::string& value) {
  const size_t colon = value.find(':');
  if (colon == std::string::npos)
    return Refuse(directive_,
                  "zone size is not specified: write zone=NAME:SIZE, as zone=sessions:1m");
  zone_.name = value.substr(0, colon);
  if (zone_.name.empty()) return Refuse(directive_, "zone name is not specified");
  const auto size = ParseSizeUnits(value.substr(colon + 1), false);
  if (!size)
    return Refuse(directive_, fmt::format("invalid zone size \"{}\": a size is 64k or 1m", value));
  if (*size < kMinimumSize) {
    return Refuse(directive_, fmt::format("zone is too small: \"{}\", it is at least {}k", value,
                                          kMinimumSize / 1024));
  }
  zone_.size = static_cast<size_t>(*size);
  return {};
}

Status SessionZoneParser::Time(std::string_view name, const std::string& value, Ms* out) const {
  const auto time = ParseTime(value, false);
  if (!time || time->count() == 0) {
    return Refuse(
        directive_,
        fmt::format("invalid {} \"{}\": a time is 500ms, 30s or 1h30m, above 0", name, value));
  }
  *out = *time;
  return {};
}

Status SessionZoneParser::Flag(std::string_view name, const std::string& value, bool* out) const {
  if (value != "on" && value != "off") {
    return Refuse(directive_,
                  fmt::format("invalid {} \"{}\", it must be \"on\" or \"off\"", name, value));
  }
  *out = value == "on";
  return {};
}

Status SessionZoneParser::Share(std::string_view name, const std::string& value,
                                double* out) const {
  const auto share = ParseShare(value);
  if (!share)
    return Refuse(directive_, fmt::format("invalid {} \"{}\": it is 75%, 0.75 or 75", name, value));
  *out = *share;
  return {};
}

// "KEY:N"
Status SessionZoneParser::Quota(const std::string& value) {
  const size_t colon = value.rfind(':');
  const uint64_t count =
      colon == std::string::npos ? 0 : ParseDecimal(value.substr(colon + 1)).value_or(0);
  const std::string key = value.substr(0, colon);
  if (count < 1 || count > kMostSessions || key.find('$') == std::string::npos) {
    return Refuse(directive_, fmt::format("invalid quota \"{}\": it is KEY:N, as "
                                          "$binary_remote_addr:1000, with a variable in KEY and N "
                                          "from 1 to {}",
                                          value, kMostSessions));
  }
  zone_.quota_key = key;
  zone_.quota = static_cast<uint32_t>(count);
  return {};
}

// "100r/s:200": new sessions, and how many more at once.
Status SessionZoneParser::NewRate(const std::string& value) {
  const size_t colon = value.find(':');
  const auto rate = ParseRate(value.substr(0, colon));
  const auto burst = colon == std::string::npos ? std::optional<uint64_t>(0)
                                                : ParseDecimal(value.substr(colon + 1));
  if (!rate || *rate == 0 || !burst || *burst > INT32_MAX) {
    return Refuse(directive_, fmt::format("invalid new_rate \"{}\": it is RATE[:BURST], a rate is "
                                          "10r/s or 30r/m, a burst 0 to {}",
                                          value, INT32_MAX));
  }
  zone_.new_rate = *rate;
  zone_.new_burst = *burst * 1000;
  return {};
}

Status SessionZoneParser::Known(std::string_view name, const std::string& value, bool has_value,
                                bool* known) {
  *known = true;
  if (name == "session_rotate") return Flag(name, has_value ? value : "on", &zone_.rotate);
  if (name == "norefresh" && !has_value) {
    zone_.norefresh = true;
    return {};
  }
  if (name == "confirm" && !has_value) {
    zone_.confirm = true;
    return {};
  }
  *known = has_value;
  if (!has_value) return {};
  if (name == "zone") return Zone(value);
  if (name == "store") {
    store_ = value;
    return value.empty() ? Refuse(directive_, "store name is not specified") : Status{};
  }
  if (name == "quota") return Quota(value);
  if (name == "new_rate") return NewRate(value);
  if (name == "timeout") return Time(name, value, &zone_.timeout);
  if (name == "gc_period") return Time(name, value, &zone_.gc_period);
  if (name == "fill_limit_minor_log") return Share(name, value, &zone_.fill.minor);
  if (name == "fill_limit_major_log") return Share(name, value, &zone_.fill.major);
  if (name == "fill_limit_crit_log") return Share(name, value, &zone_.fill.crit);
  if (name == "cookie_max_size") {
    const auto size = ParseSizeUnits(value, false);
    if (!size || *size < 1 || static_cast<uint64_t>(*size) > kMaxCookieSize) {
      return Refuse(directive_, fmt::format("invalid cookie_max_size \"{}\": it is 1 to {}", value,
                                            kMaxCookieSize));
    }
    zone_.cookie_max_size = static_cast<size_t>(*size);
    return {};
  }
  *known = false;
  return {};
}

Result<bool> SessionZoneParser::Take(const std::string& text) {
  const size_t equals = text.find('=');
  const bool has_value = equals != std::string::npos;
  const std::string name = text.substr(0, equals);
  bool known = false;
  if (Status s = Known(name, has_value ? text.substr(equals + 1) : "", has_value, &known); !s)
    return s.error();
  if (!known) return false;
  if (std::find(seen_.begin(), seen_.end(), name) != seen_.end()) {
    return Refuse(directive_, fmt::format("duplicate {}", name));
  }
  seen_.push_back(name);
  return true;
}

Status SessionZoneParser::Conflict(const SessionZone& other) const {
  const char* what = nullptr;
  if (other.size != zone_.size) what = "size";
  if (other.timeout != zone_.timeout) what = "timeout";
  if (other.norefresh != zone_.norefresh) what = "norefresh";
  if (other.rotate != zone_.rotate) what = "session_rotate";
  if (other.cookie_max_size != zone_.cookie_max_size) what = "cookie_max_size";
  if (other.gc_period != zone_.gc_period) what = "gc_period";
  if (!SameFill(other.fill, zone_.fill)) what = "fill limits";
  if (other.store != zone_.store) what = "store";
  if (other.confirm != zone_.confirm) what = "confirm";
  if (other.quota_key != zone_.quota_key || other.quota != zone_.quota) what = "quota";
  if (other.new_rate != zone_.new_rate || other.new_burst != zone_.new_burst) what = "new_rate";
  if (!what) return {};
  return InvalidArgument(fmt::format("sticky zone \"{}\" has another {} than in upstream \"{}\"",
                                     zone_.name, what, other.upstream));
}

Result<int> SessionZoneParser::Finish(Block& b) {
  if (zone_.size == 0)
    return Refuse(directive_,
                  "\"zone\" parameter is not specified: write zone=NAME:SIZE, as zone=sessions:1m");
  if (zone_.fill.minor > zone_.fill.major || zone_.fill.major > zone_.fill.crit) {
    return Refuse(directive_, "fill limits must rise from minor over major to crit");
  }
  if (zone_.confirm && store_.empty())
    return Refuse(directive_, "\"confirm\" parameter requires \"store\"");
  if (!store_.empty()) zone_.store = MentionStore(b, directive_, store_);
  zone_.upstream = b.upstream->name;
  auto& zones = b.http->session_zones;
  for (size_t i = 0; i < zones.size(); ++i) {
    if (zones[i].name != zone_.name) continue;
    if (Status s = Conflict(zones[i]); !s) return s.error();
    return static_cast<int>(i);
  }
  zones.push_back(zone_);
  return static_cast<int>(zones.size() - 1);
}

Status CheckSharedZones(const Http& http) {
  std::vector<const Upstream*> first(http.session_zones.size(), nullptr);
  for (const auto& upstream : http.upstreams) {
    if (upstream->sticky.kind != StickyKind::kLearn) continue;
    const auto zone = static_cast<size_t>(upstream->sticky.learn.zone);
    if (first[zone] == nullptr) {
      first[zone] = upstream.get();
    } else if (Status s = CheckSameServers(*first[zone], *upstream, http.session_zones[zone].name);
               !s) {
      return s;
    }
  }
  return {};
}

}  // namespace limpet::conf
