// `geoip2`: databases of addresses.
#include "base/clock.h"
#include "worker/status/json_parts.h"

namespace limpet::worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

Json DatabaseJson(const conf::GeoDatabase& conf, const shm::GeoState& state) {
  return {{"state", state.refused_now.load(kRelaxed) ? "refused" : "good"},
          {"build_epoch", state.build_epoch.load(kRelaxed)},
          {"last_check", state.last_check_s.load(kRelaxed)},
          {"last_change", state.last_change_s.load(kRelaxed)},
          {"auto_reload_ms", conf.auto_reload.count()},
          {"replaced", state.replaced.load(kRelaxed)},
          {"refused", state.refused.load(kRelaxed)}};
}

}  // namespace

StatusReply Geoip2Page(const StatusSource& source) {
  Json all = Json::object();
  for (size_t i = 0; i < source.geo.size(); ++i) {
    const conf::GeoDatabase& conf = source.http.geo.databases[i];
    all[conf.path] = DatabaseJson(conf, *source.geo[i]);
  }
  return Good(all);
}

}  // namespace limpet::worker
