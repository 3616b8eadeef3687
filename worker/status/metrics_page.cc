// The text of `prometheus`.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "worker/status/fields.h"
#include "worker/status/metrics_parts.h"
#include "worker/status/peer_facts.h"
#include "worker/status/status.h"
#include "worker/status/store_facts.h"
#include "worker/status/zone_facts.h"

namespace limpet::worker {
namespace {

struct ZoneFacts {
  std::string labels;
  uint64_t capacity = 0, active = 0;
  double oldest_s = 0;
  shm::SessionCounters counters;
};

std::vector<ZoneFacts> ReadZones(const StatusSource& source) {
  std::vector<ZoneFacts> zones;
  for (size_t i = 0; i < source.sessions.size() && i < source.http.session_zones.size(); ++i) {
    const shm::SessionTable* table = source.sessions[i];
    if (table == nullptr) continue;
    zones.push_back({fmt::format("{{zone=\"{}\"}}", Label(source.http.session_zones[i].name)),
                     table->Capacity(), table->Live(),
                     static_cast<double>(table->OldestAge(BootMs()).count()) / 1000, table->Sum()});
  }
  return zones;
}

void AddZones(const StatusSource& source, MetricsText& page) {
  const std::vector<ZoneFacts> zones = ReadZones(source);
  if (zones.empty()) return;
  page.Begin("limpet_sessions_capacity", false, "sessions that the zone holds at most");
  for (const ZoneFacts& zone : zones) page.Sample(zone.labels, zone.capacity);
  page.Begin("limpet_sessions_active", false, "sessions in the zone");
  for (const ZoneFacts& zone : zones) page.Sample(zone.labels, zone.active);
  page.Begin("limpet_sessions_oldest_age_seconds", false, "age of the oldest session at most");
  for (const ZoneFacts& zone : zones) page.Sample(zone.labels, zone.oldest_s);
  for (const SessionField& field : kSessionFields) {
    page.Begin(fmt::format("limpet_sessions_{}", field.name), true, field.help);
    for (const ZoneFacts& zone : zones) page.Sample(zone.labels, zone.counters.*field.value);
  }
}

constexpr auto kRelaxed = std::memory_order_relaxed;

// `result`: a further label; "": none.
std::string StoreLabels(const StoreUse& use, std::string_view result = {}) {
  const std::string more = result.empty() ? "" : fmt::format(",result=\"{}\"", result);
  return fmt::format("{{store=\"{}\",zone=\"{}\"{}}}", Label(use.store->name),
                     Label(use.zone->name), more);
}

void AddStores(const StatusSource& source, MetricsText& page) {
  const std::vector<StoreUse> uses = StoreUses(source.http, source.stores);
  if (uses.empty()) return;
  page.Begin("limpet_store_up", false, "1 if the store is there, 0 while the zone goes on alone");
  for (const StoreUse& use : uses) page.Sample(StoreLabels(use), AloneSince(*use.state) ? 0 : 1);
  page.Begin("limpet_store_lag_seconds", false,
             "age of the newest change of the store when it came into the zone");
  for (const StoreUse& use : uses) {
    const int64_t lag = use.state->figures.lag_ms.load(kRelaxed);
    page.Sample(StoreLabels(use), static_cast<double>(lag) / 1000);
  }
  page.Begin("limpet_store_asking_workers", false,
             "workers that ask the store; the others go on alone: not connected, or it was slow");
  for (const StoreUse& use : uses)
    page.Sample(StoreLabels(use), use.state->figures.workers.Asking());
  page.Begin("limpet_store_waiting", false, "changes that wait for the store");
  for (const StoreUse& use : uses) page.Sample(StoreLabels(use), use.state->Waiting());
  std::string_view begun;
  for (const StoreField& field : kStoreFields) {
    if (std::exchange(begun, field.metric) != field.metric)
      page.Begin(fmt::format("limpet_store_{}", field.metric), true, field.help);
    for (const StoreUse& use : uses) {
      page.Sample(StoreLabels(use, field.result), (use.state->figures.*field.value).load(kRelaxed));
    }
  }
}

struct GeoMetric {
  std::string_view name;
  int64_t (*value)(const shm::GeoState& state);
  bool grows;
  std::string_view help;
};

constexpr std::array kGeoMetrics = std::to_array<GeoMetric>({
    {"good", [](const shm::GeoState& s) -> int64_t { return s.refused_now.load(kRelaxed) ? 0 : 1; },
     false, "1, or 0 if the file cannot be read and what was read before is used"},
    {"build_timestamp_seconds", [](const shm::GeoState& s) { return s.build_epoch.load(kRelaxed); },
     false, "when the database that is used was built, since 1970"},
    {"last_check_timestamp_seconds",
     [](const shm::GeoState& s) { return s.last_check_s.load(kRelaxed); }, false,
     "when the file was looked at last, since 1970"},
    {"last_change_timestamp_seconds",
     [](const shm::GeoState& s) { return s.last_change_s.load(kRelaxed); }, false,
     "when the database that is used was read, since 1970"},
    {"replaced",
     [](const shm::GeoState& s) { return static_cast<int64_t>(s.replaced.load(kRelaxed)); }, true,
     "times the file was read again"},
    {"refused",
     [](const shm::GeoState& s) { return static_cast<int64_t>(s.refused.load(kRelaxed)); }, true,
     "times the file was missing or damaged"},
});

void AddGeo(const StatusSource& source, MetricsText& page) {
  if (source.geo.empty()) return;
  for (const GeoMetric& metric : kGeoMetrics) {
    page.Begin(fmt::format("limpet_geoip2_{}", metric.name), metric.grows, metric.help);
    for (size_t i = 0; i < source.geo.size(); ++i) {
      const std::string file = Label(source.http.geo.databases[i].path);
      page.Sample(fmt::format("{{file=\"{}\"}}", file), metric.value(*source.geo[i]));
    }
  }
}

void AddTokens(const StatusSource& source, MetricsText& page) {
  if (source.tokens == nullptr) return;
  const shm::TokenFigures& figures = *source.tokens;
  page.Begin("limpet_jwt_verified", true, "tokens whose signature and times were right");
  page.Sample("", figures.verified.load(kRelaxed));
  page.Begin("limpet_jwt_remembered", true, "tokens that had been verified a moment before");
  page.Sample("", figures.remembered.load(kRelaxed));
  page.Begin("limpet_jwt_refused", true, "tokens that were refused, by what was wrong");
  for (size_t i = 0; i < shm::TokenFigures::kRefusals; ++i) {
    page.Sample(fmt::format("{{reason=\"{}\"}}", shm::TokenFigures::kRefusalNames[i]),
                figures.refused[i].load(kRelaxed));
  }
}

void AddProcesses(const StatusSource& source, MetricsText& page) {
  page.Begin("limpet_info", false, "what runs; always 1");
  page.Sample(fmt::format("{{version=\"{}\"}}", LIMPET_VERSION), 1);
  page.Begin("limpet_generation", false, "configurations loaded since the start");
  page.Sample("", source.generation);
  page.Begin("limpet_start_time_seconds", false, "when the master began, since 1970");
  page.Sample("", source.counters.started_s.load(std::memory_order_relaxed));
  page.Begin("limpet_workers", false, "worker processes that live");
  page.Sample("", source.counters.Workers());
}

void AddIncidents(const shm::Incidents& incidents, MetricsText& page) {
  page.Begin("limpet_config_last_reload_successful", false,
             "1, or 0 if the last configuration was refused and an earlier one serves");
  page.Sample("", incidents.reload_refused.load(kRelaxed) ? 0 : 1);
  page.Begin("limpet_config_last_reload_success_timestamp_seconds", false,
             "when the configuration that serves was loaded, since 1970");
  page.Sample("", incidents.loaded_s.load(kRelaxed));
  page.Begin("limpet_worker_deaths", true, "workers that ended without being told to");
  for (size_t i = 0; i < shm::Incidents::kDeaths; ++i) {
    page.Sample(fmt::format("{{reason=\"{}\"}}", shm::Incidents::kDeathNames[i]),
                incidents.worker_deaths[i].load(kRelaxed));
  }
  page.Begin("limpet_no_live_upstreams", true, "requests that found no server that lives");
  page.Sample("", incidents.no_live_upstreams.load(kRelaxed));
}

void AddMishaps(const shm::StatusMemory* status, MetricsText& page) {
  if (status == nullptr) return;
  page.Begin("limpet_config_reloads_refused", true, "configurations that were refused");
  page.Sample("", status->mishaps.reloads_refused.load(kRelaxed));
  page.Begin("limpet_worker_last_death_timestamp_seconds", false,
             "when a worker ended last without being told to, since 1970; 0: never");
  page.Sample("", status->mishaps.last_death_s.load(kRelaxed));
}

void AddConnections(const StatusSource& source, MetricsText& page) {
  for (const ConnectionField& field : kConnectionFields) {
    page.Begin(fmt::format("limpet_connections_{}", field.name), field.grows, field.help);
    page.Sample("", field.sum(source.counters));
  }
}

// One sample per peer of upstreams for which all processes count together: a worker's own numbers
// would jump from one scrape to the next, as another worker answers it.
struct PeerMetric {
  std::string_view name;
  uint64_t (*value)(const StatusSource& source, const Peer& peer);
  bool grows;
  std::string_view help;
};

constexpr std::array kPeerMetrics = std::to_array<PeerMetric>({
    {"conns", [](const StatusSource&, const Peer& p) -> uint64_t { return p.conns(); }, false,
     "requests at the peer now"},
    {"requests",
     [](const StatusSource&, const Peer& p) { return p.state->requests.load(kRelaxed); }, true,
     "requests sent to the peer"},
    {"fails", [](const StatusSource&, const Peer& p) { return p.state->failed.load(kRelaxed); },
     true, "requests that failed there"},
    {"unavailable",
     [](const StatusSource&, const Peer& p) { return p.state->unavailable.load(kRelaxed); }, true,
     "times the peer went over max_fails"},
    {"sent_bytes", [](const StatusSource&, const Peer& p) { return p.state->sent.load(kRelaxed); },
     true, "bytes sent to the peer"},
    {"received_bytes",
     [](const StatusSource&, const Peer& p) { return p.state->received.load(kRelaxed); }, true,
     "bytes received from the peer"},
    {"health_checks",
     [](const StatusSource&, const Peer& p) -> uint64_t { return p.state->probes.load(kRelaxed); },
     true, "active health checks made"},
    {"health_check_fails",
     [](const StatusSource&, const Peer& p) -> uint64_t {
       return p.state->failed_probes.load(kRelaxed);
     },
     true, "active health checks failed"},
});

// `more`: further labels, each with a comma before it.
std::string PeerLabels(const UpstreamGroup& group, const Peer& peer, std::string_view more = {}) {
  return fmt::format("{{upstream=\"{}\",index=\"{}\",server=\"{}\",id=\"{}\"{}}}",
                     Label(UpstreamName(group.conf())), peer.index, Label(peer.name),
                     Label(peer.server_id), more);
}

template <class Visit>
void ForEachSharedPeer(const StatusSource& source, const Visit& visit) {
  for (UpstreamGroup* group : source.upstreams) {
    if (group->conf().zone.empty()) continue;
    for (const Peer& peer : group->peers()) visit(*group, peer);
  }
}

void AddPeers(const StatusSource& source, MetricsText& page) {
  page.Begin("limpet_peer_up", false, "1 if the peer takes requests");
  ForEachSharedPeer(source, [&](UpstreamGroup& group, const Peer& peer) {
    const PeerCondition now = ConditionNow(group, peer, false, source.now_ms);
    page.Sample(PeerLabels(group, peer), now == PeerCondition::kReady ? 1 : 0);
  });
  for (const PeerMetric& metric : kPeerMetrics) {
    page.Begin(fmt::format("limpet_peer_{}", metric.name), metric.grows, metric.help);
    ForEachSharedPeer(source, [&](const UpstreamGroup& group, const Peer& peer) {
      page.Sample(PeerLabels(group, peer), metric.value(source, peer));
    });
  }
  page.Begin("limpet_peer_state", false, "1 for the state that the peer is in, 0 for the others");
  ForEachSharedPeer(source, [&](const UpstreamGroup& group, const Peer& peer) {
    const std::string_view now = PeerStateName(peer, source.now_ms);
    for (const std::string_view state : kPeerStates) {
      page.Sample(PeerLabels(group, peer, fmt::format(",state=\"{}\"", state)),
                  state == now ? 1 : 0);
    }
  });
  page.Begin("limpet_peer_drain_left_seconds", false, "until the deadline of the peer's drain");
  ForEachSharedPeer(source, [&](const UpstreamGroup& group, const Peer& peer) {
    if (const auto left = DrainLeftMs(peer, source.now_ms))
      page.Sample(PeerLabels(group, peer), static_cast<double>(*left) / 1000);
  });
  page.Begin("limpet_peer_responses", true, "answers of the peer by class");
  ForEachSharedPeer(source, [&](const UpstreamGroup& group, const Peer& peer) {
    for (size_t i = 0; i < std::size(peer.state->responses); ++i) {
      page.Sample(PeerLabels(group, peer, fmt::format(",code=\"{}xx\"", i + 1)),
                  peer.state->responses[i].load(kRelaxed));
    }
  });
}

void AddBoundSessions(const StatusSource& source, MetricsText& page) {
  page.Begin("limpet_peer_sessions", false, "learned sessions bound to the peer");
  for (UpstreamGroup* group : source.upstreams) {
    for (const Peer& peer : group->peers()) {
      const auto sessions = BoundSessions(source, group->conf(), peer);
      if (sessions) page.Sample(PeerLabels(*group, peer), *sessions);
    }
  }
}

}  // namespace

std::string MetricsPage(const StatusSource& source) {
  MetricsText page;
  AddProcesses(source, page);
  AddIncidents(source.counters.incidents, page);
  AddMishaps(source.status, page);
  AddConnections(source, page);
  AddWorkerLimits(source, page);
  AddCertificates(source, page);
  AddZones(source, page);
  AddStores(source, page);
  AddGeo(source, page);
  AddTokens(source, page);
  AddStatusZones(source, page);
  AddTraffic(source, page);
  AddPeers(source, page);
  AddBoundSessions(source, page);
  return page.Take();
}

}  // namespace limpet::worker
