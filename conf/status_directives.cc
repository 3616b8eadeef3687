// What limpet says about itself.
#include <array>

#include "conf/setting.h"
#include "conf/tables.h"

namespace limpet::conf {
namespace {

Status StubStatus(Block& b, const Directive&) {
  b.location->stub_status = true;
  return {};
}

Status Api(Block& b, const Directive& d) {
  b.location->api = d.args[0];
  if (!b.location->api->starts_with('/')) return InvalidParameter(d.args[0]);
  if (d.args.size() == 1 || d.args[1] == "write=off") return {};
  if (d.args[1] != "write=on") return InvalidParameter(d.args[1]);
  b.location->api_write = true;
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

constexpr std::array kRows = std::to_array<Row>({
    {"stub_status", kServer | kLocation, Takes(0, 1), kOnce, StubStatus, "",
     "numbers of connections and requests"},
    {"api", kLocation, Takes(1, 2), kOnce, Api, "",
     "PREFIX [write=on|off]: the state of upstreams and session zones as JSON; on: to be changed, "
     "too"},
    {"dashboard", kLocation, Takes(1, 1), kOnce, Dashboard, "",
     "PREFIX: a page that shows what the api with that prefix says"},
    {"prometheus", kLocation, Takes(0, 1), kOnce, Prometheus, "",
     "the same numbers as metrics for Prometheus"},
});

}  // namespace

constinit const std::span<const Row> kStatusDirectives = kRows;

}  // namespace limpet::conf
