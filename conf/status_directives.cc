// What limpet says about itself.
#include <array>

#include "conf/setting.h"
#include "conf/status_zones.h"
#include "conf/tables.h"

namespace limpet::conf {
namespace {

Status StubStatus(Block& b, const Directive&) {
  b.location->stub_status = true;
  return {};
}

// As in Angie: what stands below /status/ names a part of the tree, and the location shows no more.
std::string ApiSubtree(std::string_view prefix) {
  constexpr std::string_view kRoot = "/status/";
  if (!prefix.starts_with(kRoot)) return {};
  prefix.remove_prefix(kRoot.size());
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  return std::string(prefix);
}

// Without a prefix it is the location's own.
Status Api(Block& b, const Directive& d) {
  const bool has_prefix = !d.args.empty() && d.args[0].starts_with('/');
  b.location->api = has_prefix ? d.args[0] : b.location->name;
  if (has_prefix) b.location->api_subtree = ApiSubtree(d.args[0]);
  if (!b.location->api->starts_with('/'))
    return InvalidArgument("\"api\" needs a prefix in a location that has no path");
  for (size_t i = has_prefix ? 1 : 0; i < d.args.size(); ++i) {
    const std::string& word = d.args[i];
    if ((word != "write=on" && word != "write=off") || i + 1 < d.args.size())
      return InvalidParameter(word);
    b.location->api_write = word == "write=on";
  }
  return {};
}

Status Dashboard(Block& b, const Directive& d) {
  b.location->dashboard = d.args[0];
  return d.args[0].starts_with('/') ? Status() : InvalidParameter(d.args[0]);
}

Status Prometheus(Block& b, const Directive& d) {
  if (!d.args.empty() && d.args[0] != "all") return InvalidParameter(d.args[0]);
  b.location->prometheus = true;
  return {};
}

// NAME or NAME:COUNT, of zone=.
Status ReadCount(const std::string& text, std::string* name, std::optional<uint32_t>* values) {
  const size_t colon = text.find(':');
  *name = text.substr(0, colon);
  values->reset();
  if (colon == std::string::npos) return {};
  const auto count = ParseDecimal(std::string_view(text).substr(colon + 1));
  if (!count || *count < 1 || *count > StatusZone::kMaxValues) {
    return InvalidArgument(fmt::format("invalid count of values in \"zone={}\": it is 1 to {}",
                                       text, StatusZone::kMaxValues));
  }
  *values = static_cast<uint32_t>(*count);
  return {};
}

Status StatusZoneRow(Block& b, const Directive& d) {
  const bool of_server = b.context == kServer;
  StatusZoneUse& use = of_server ? b.server->status_zone : b.location->status_zone;
  use = {};
  std::string name = d.args[0];
  std::optional<uint32_t> values = 0;
  if (d.args.size() == 2) {
    const auto text = After(d.args[1], "zone=");
    if (!text) return InvalidParameter(d.args[1]);
    if (Status s = ReadCount(*text, &name, &values); !s) return s;
    if (Status s = Strings{}(b, d, d.args[0], use.key); !s) return s;
  } else if (!of_server && name == "off") {
    return {};
  }
  if (name.empty() || name.size() > StatusZone::kMaxName) {
    return InvalidArgument(
        fmt::format("invalid zone name \"{}\": it has 1 to {} bytes", name, StatusZone::kMaxName));
  }
  const auto kind = of_server ? StatusZoneKind::kServer : StatusZoneKind::kLocation;
  use.zone = StatusZoneOf(*b.http, kind, name, Where(d));
  StatusZone& zone = b.http->status_zones[static_cast<size_t>(use.zone)];
  if (zone.values && values && *zone.values != *values) {
    return InvalidArgument(fmt::format("status zone \"{}\" has another count of values, by {}",
                                       name, zone.declared_at));
  }
  if (values) zone.values = values;
  zone.has_key |= use.key.has_value();
  return {};
}

constexpr std::array kRows = std::to_array<Row>({
    {"stub_status", kServer | kLocation, Takes(0, 1), kMany, StubStatus, "",
     "numbers of connections and requests"},
    {"api", kLocation, Takes(0, 1, 2), kOnce, Api, "",
     "[PREFIX] [write=on|off]: the state of upstreams and session zones as JSON, below the "
     "location's path if no prefix is given; /status/PATH shows what is below PATH, and no more; "
     "on: to be changed, too"},
    {"dashboard", kLocation, Takes(1, 1), kOnce, Dashboard, "",
     "PREFIX: a page that shows what the api with that prefix says"},
    {"status_zone", kServer | kLocation | kLocationIf, Takes(1, 2), kOnce, StatusZoneRow, "",
     "NAME, or KEY zone=NAME[:COUNT]: requests of the server, or those that end in the location, "
     "are counted under that name, or under the value of KEY (so many of them); off: not those of "
     "this location"},
    {"prometheus", kLocation, Takes(0, 1), kOnce, Prometheus, "",
     "the same numbers as metrics for Prometheus"},
});

}  // namespace

constinit const std::span<const Row> kStatusDirectives = kRows;

}  // namespace limpet::conf
