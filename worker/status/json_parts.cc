#include "worker/status/json_parts.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/clock.h"
#include "base/text.h"
#include "conf/near_miss.h"
#include "proto/escape.h"
#include "worker/status/fields.h"
#include "worker/status/overview_page.h"
#include "worker/status/peer_facts.h"
#include "worker/status/traffic_facts.h"
#include "worker/sticky/sticky.h"

namespace limpet::worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

Json Counters(const shm::SessionCounters& counters) {
  Json json = Json::object();
  for (const SessionField& field : kSessionFields)
    json[std::string(field.name)] = counters.*field.value;
  return json;
}

bool HasCounted(const shm::SessionCounters& counters) {
  return std::ranges::any_of(kSessionFields,
                             [&](const SessionField& field) { return counters.*field.value != 0; });
}

Json CountingWorkers(const shm::SessionTable& table) {
  Json workers = Json::array();
  const std::vector<shm::SessionCounters> lines = table.PerWorker();
  for (size_t slot = 0; slot < lines.size(); ++slot) {
    if (!HasCounted(lines[slot])) continue;
    Json line = {{"slot", slot}};
    line.update(Counters(lines[slot]));
    workers.push_back(std::move(line));
  }
  return workers;
}

Json FillLimitsJson(const shm::FillLimits& limits) {
  return {{"minor", limits.minor}, {"major", limits.major}, {"crit", limits.crit}};
}

Json HistoryJson(const StatusSource& source, const std::string& zone) {
  Json json = {{"every_ms", shm::FillHistory::kEveryMs}, {"fill", Json::array()}};
  const shm::FillHistory* history = source.counters.fill_histories.Find(zone);
  if (history != nullptr) json["fill"] = history->OldestFirst();
  return json;
}

Json ResponsesJson(const shm::PeerState& state) {
  constexpr std::array kClasses = {"1xx", "2xx", "3xx", "4xx", "5xx"};
  Json json = Json::object();
  uint64_t total = 0;
  for (size_t i = 0; i < kClasses.size(); ++i) {
    const uint64_t responses = state.responses[i].load(kRelaxed);
    json[kClasses[i]] = responses;
    total += responses;
  }
  json["total"] = total;
  return json;
}

Json ChecksJson(const shm::PeerState& state) {
  return {{"checks", state.probes.load(kRelaxed)},
          {"fails", state.failed_probes.load(kRelaxed)},
          {"unhealthy", state.unhealthy.load(kRelaxed)}};
}

Json ConnectionsJson(const shm::WorkerCounters& worker) {
  return {{"accepted", worker.accepted.load(kRelaxed)}, {"handled", worker.handled.load(kRelaxed)},
          {"requests", worker.requests.load(kRelaxed)}, {"active", worker.active.load(kRelaxed)},
          {"reading", worker.reading.load(kRelaxed)},   {"writing", worker.writing.load(kRelaxed)},
          {"waiting", worker.waiting.load(kRelaxed)}};
}

// Those that live: a slot whose process has ended has no pid.
Json WorkersJson(const StatusSource& source) {
  Json workers = Json::array();
  for (size_t slot = 0; slot < source.counters.slots.size(); ++slot) {
    const shm::WorkerCounters& worker = source.counters.slots[slot];
    const int64_t pid = worker.pid.load(kRelaxed);
    if (pid == 0) continue;
    Json line = {{"slot", slot}, {"pid", pid}};
    line.update(ConnectionsJson(worker));
    workers.push_back(std::move(line));
  }
  return workers;
}

Json DeathsJson(const shm::Incidents& incidents) {
  Json deaths = Json::object();
  for (size_t i = 0; i < shm::Incidents::kDeaths; ++i)
    deaths[shm::Incidents::kDeathNames[i]] = incidents.worker_deaths[i].load(kRelaxed);
  return deaths;
}

Json IncidentsJson(const shm::Incidents& incidents) {
  return {{"reload_refused", incidents.reload_refused.load(kRelaxed)},
          {"loaded", FormatIso8601(incidents.loaded_s.load(kRelaxed))},
          {"worker_deaths", DeathsJson(incidents)},
          {"no_live_upstreams", incidents.no_live_upstreams.load(kRelaxed)}};
}

// Of all workers.
Json TrafficJson(const shm::TrafficSums& sums) {
  Json sticky = Json::object();
  for (size_t i = 1; i <= static_cast<size_t>(StickyStatus::kAsked); ++i)
    sticky[std::string(Name(static_cast<StickyStatus>(i)))] = sums.by_sticky[i];
  return {{"requests", sums.requests()},
          {"faults", sums.by_class[5]},
          {"sticky", std::move(sticky)},
          {"p50_ms", sums.PercentileMs(50)},
          {"p95_ms", sums.PercentileMs(95)},
          {"p99_ms", sums.PercentileMs(99)},
          {"times", sums.by_time}};
}

// When its state changed, and what its last check has found.
void AddCheckFacts(const StatusSource& source, const conf::Upstream& upstream, const Peer& peer,
                   Json* json) {
  if (source.status == nullptr) return;
  const shm::CheckFacts facts = source.status->notes.Find(upstream.name, peer.name);
  if (facts.changed_ms > 0)
    (*json)["changed"] = FormatIso8601(static_cast<int64_t>(facts.changed_ms / 1000));
  if (facts.checked_ms == 0) return;
  Json& checks = (*json)["health_checks"];
  checks["last"] = FormatIso8601(static_cast<int64_t>(facts.checked_ms / 1000));
  checks["last_passed"] = facts.failed_in.empty();
  if (!facts.failed_in.empty()) checks["failed_in"] = facts.failed_in;
}

std::string HostName() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace

std::string Dump(const Json& json) {
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

StatusReply Good(const Json& json) { return {200, Dump(json)}; }
StatusReply NotFound(std::string_view what) { return ApiError(404, what); }

StatusReply NoSuchZone(const StatusSource& source, std::string_view name) {
  conf::NearMiss near(name);
  for (const conf::SessionZone& zone : source.http.session_zones) near.Offer(zone.name);
  return NotFound("no such session zone" + near.Hint());
}

StatusReply NoSuchUpstream(const StatusSource& source, std::string_view name) {
  std::vector<std::string> names;  // views of them are kept
  for (UpstreamGroup* group : source.upstreams) names.push_back(UpstreamName(group->conf()));
  conf::NearMiss near(name);
  for (const std::string& known : names) near.Offer(known);
  return NotFound("no such upstream" + near.Hint());
}

StatusReply NoSuchServer(UpstreamGroup& group, std::string_view name) {
  conf::NearMiss near(name);
  for (const Peer& peer : group.peers()) {
    for (const std::string* known : {&peer.name, &peer.server, &peer.server_id}) near.Offer(*known);
  }
  return NotFound("no such server" + near.Hint());
}

ZoneRef FindZone(const StatusSource& source, std::string_view name) {
  const auto& zones = source.http.session_zones;
  for (size_t i = 0; i < source.sessions.size() && i < zones.size(); ++i) {
    if (zones[i].name == name)
      return {&zones[i], source.sessions[i], i < source.stores.size() ? source.stores[i] : nullptr};
  }
  return {};
}

bool LearnsIn(const conf::Upstream& upstream, const StatusSource& source, const ZoneRef& zone) {
  if (upstream.sticky.kind != conf::StickyKind::kLearn) return false;
  const auto index = static_cast<size_t>(zone.conf - source.http.session_zones.data());
  return upstream.sticky.learn.zone == static_cast<int>(index);
}

UpstreamGroup* FindUpstream(const StatusSource& source, std::string_view name) {
  const auto found = std::ranges::find_if(source.upstreams, [name](UpstreamGroup* group) {
    return UpstreamName(group->conf()) == name;
  });
  return found == source.upstreams.end() ? nullptr : *found;
}

PeerPath SplitPeerPath(std::string_view path) {
  constexpr std::string_view kPeers = "/peers/";
  const size_t at = path.find(kPeers);
  if (at == path.npos) return {path, {}};
  return {path.substr(0, at), path.substr(at + kPeers.size())};
}

std::vector<Peer*> FindPeers(UpstreamGroup& group, std::string_view name) {
  std::vector<Peer*> peers;
  for (Peer& peer : group.peers()) {
    if (peer.name == name || peer.server == name || peer.server_id == name) peers.push_back(&peer);
  }
  return peers;
}

Json ZoneJson(const StatusSource& source, const ZoneRef& zone, bool history) {
  const shm::SessionTable& table = *zone.table;
  const uint64_t capacity = table.Capacity(), active = table.Live();
  const shm::SessionPolicy policy = table.Policy();
  Json json = {{"capacity", capacity},
               {"active", active},
               {"fill", shm::ShareOf(active, capacity)},
               {"fill_limits", FillLimitsJson(table.GetFillLimits())},
               {"timeout_ms", policy.timeout.count()},
               {"rotate", policy.rotate},
               {"oldest_age_ms", table.OldestAge(BootMs()).count()}};
  json.update(Counters(table.Sum()));
  json["upstreams"] = UpstreamsThatLearnIn(source, zone);
  json["workers"] = CountingWorkers(table);
  if (history) json["history"] = HistoryJson(source, zone.conf->name);
  return json;
}

Json SessionJson(const StatusSource& source, const ZoneRef& zone, std::string_view key) {
  const shm::SessionTable& table = *zone.table;
  const shm::Found found = table.Peek(table.KeyOf(key), BootMs());
  if (found.result != shm::LookupResult::kHit) return nullptr;
  const std::string id = table.PeerName(found.peer);
  Json servers = Json::array();
  for (UpstreamGroup* group : source.upstreams) {
    if (!LearnsIn(group->conf(), source, zone)) continue;
    for (const Peer* peer : FindPeers(*group, id)) servers.push_back(peer->name);
  }
  const shm::SessionPolicy policy = table.Policy();
  Json json = {{"zone", zone.conf->name},
               {"id", id},
               {"servers", std::move(servers)},
               {policy.norefresh ? "age_ms" : "idle_ms", found.idle.count()}};
  if (policy.timeout.count() > 0)
    json["expires_in_ms"] = std::max<int64_t>(0, (policy.timeout - found.idle).count());
  return json;
}

Json PeerJson(const StatusSource& source, const conf::Upstream& upstream, const Peer& peer) {
  const shm::PeerState& state = *peer.state;
  Json json = {{"server", peer.name},
               {"id", peer.server_id},
               {"name", peer.server},
               {"state", PeerStateName(peer, source.now_ms)},
               {"backup", peer.backup},
               {"weight", peer.weight()},
               {"conns", peer.conns()},
               {"max_conns", peer.conf->max_conns},
               {"requests", state.requests.load(kRelaxed)},
               {"responses", ResponsesJson(state)},
               {"sent", state.sent.load(kRelaxed)},
               {"received", state.received.load(kRelaxed)},
               {"fails", state.failed.load(kRelaxed)},
               {"unavailable", state.unavailable.load(kRelaxed)},
               {"header_time", state.header_time_ms.load(kRelaxed)},
               {"response_time", state.response_time_ms.load(kRelaxed)},
               {"health_checks", ChecksJson(state)}};
  if (const auto left = DrainLeftMs(peer, source.now_ms)) {
    json["drain_left_ms"] = *left;
    json["drain_keeps"] = (state.standing().flags.load(kRelaxed) & shm::kPeerDrainKeeps) != 0;
  }
  if (peer.draining() && peer.drain_move() > 0) json["drain_move"] = peer.drain_move();
  if (const auto sessions = BoundSessions(source, upstream, peer)) json["sessions"] = *sessions;
  AddCheckFacts(source, upstream, peer, &json);
  return json;
}

Json UpstreamJson(const StatusSource& source, UpstreamGroup& group) {
  const conf::Upstream& conf = group.conf();
  Json json = {{"shared", !conf.zone.empty()}};
  const shm::TrafficSums traffic = TrafficOf(source, conf);
  if (conf.queue.limit > 0)
    json["queue"] = {{"waiting", traffic.waiting}, {"limit", conf.queue.limit}};
  if (source.status != nullptr) json["traffic"] = TrafficJson(traffic);
  json["peers"] = Json::array();
  for (const Peer& peer : group.peers()) json["peers"].push_back(PeerJson(source, conf, peer));
  return json;
}

Json RootJson(const StatusSource& source) {
  Json connections = Json::object();
  for (const ConnectionField& field : kConnectionFields)
    connections[std::string(field.name)] = field.sum(source.counters);
  const int64_t now = Now().seconds, started = source.counters.started_s.load(kRelaxed);
  return {{"version", LIMPET_VERSION},
          {"host", HostName()},
          {"generation", source.generation},
          {"pid", ::getpid()},
          {"master_pid", source.master_pid},
          {"time", FormatIso8601(now)},
          {"uptime_s", started > 0 ? now - started : 0},
          {"write", source.may_write},
          {"incidents", IncidentsJson(source.counters.incidents)},
          {"stores", StoreStatesJson(source)},
          {"connections", std::move(connections)},
          {"workers", WorkersJson(source)}};
}

Json AlertsJson(const StatusSource& source) {
  Json alerts = Json::array();
  for (const shm::Alert& alert : source.counters.alerts.Newest()) {
    alerts.push_back({{"number", alert.number},
                      {"time", FormatIso8601(alert.wall_ms / 1000)},
                      {"level", Name(alert.level)},
                      {"text", alert.text}});
  }
  return alerts;
}

std::optional<std::string> Argument(std::string_view args, std::string_view name) {
  for (std::string_view pair : Split(args, '&')) {
    const size_t equals = pair.find('=');
    if (pair.substr(0, equals) != name) continue;
    return equals == pair.npos ? std::string() : proto::Unescape(pair.substr(equals + 1));
  }
  return std::nullopt;
}

}  // namespace limpet::worker
