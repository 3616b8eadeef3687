// `angie…`, `connections…`, `resolvers…` and `http…`: what users of Angie's API find below
// /status/, in its words and its form, as far as limpet counts it. A path goes as deep as the tree
// does, down to a single value.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <map>
#include <optional>
#include <string>

#include "base/clock.h"
#include "worker/status/json_parts.h"
#include "worker/status/peer_facts.h"
#include "worker/status/zone_facts.h"
#include "worker/upstream/downtime.h"

namespace limpet::worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// Those beyond the codes that are told apart, or of a binary that did not, are xxx.
Json Responses(const shm::PeerState& state) {
  std::map<std::string, uint64_t> codes;
  uint64_t others = 0;
  for (const auto& count : state.responses) others += count.load(kRelaxed);
  state.codes.ForEach([&](int code, uint64_t count) {
    codes[std::to_string(code)] = count;
    others -= std::min(others, count);
  });
  if (others > 0) codes["xxx"] = others;
  return codes;
}

// With ?date=epoch seconds.
Json TimeJson(uint64_t wall_ms, bool is_epoch) {
  const auto seconds = static_cast<time_t>(wall_ms / 1000);
  if (is_epoch) return seconds;
  tm utc{};
  ::gmtime_r(&seconds, &utc);
  char text[sizeof "9999-12-31T23:59:59"] = {};
  ::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  const uint64_t ms = wall_ms % 1000;
  return ms == 0 ? fmt::format("{}Z", text) : fmt::format("{}.{:03}Z", text, ms);
}

class Tree {
 public:
  Tree(const StatusSource& source, bool is_epoch) : source_(source), is_epoch_(is_epoch) {}

  Json Process() const {
    const int64_t loaded = source_.counters.incidents.loaded_s.load(kRelaxed);
    Json json = {{"version", LIMPET_VERSION}};
    if (!source_.server_address.empty()) json["address"] = source_.server_address;
    json["generation"] = source_.generation;
    json["load_time"] = TimeJson(static_cast<uint64_t>(loaded) * 1000, is_epoch_);
    return json;
  }

  Json Connections() const {
    const shm::Counters& counters = source_.counters;
    const uint64_t accepted = counters.Sum(&shm::WorkerCounters::accepted);
    const uint64_t handled = counters.Sum(&shm::WorkerCounters::handled);
    const uint64_t active = counters.Sum(&shm::WorkerCounters::active);
    const uint64_t idle = counters.Sum(&shm::WorkerCounters::waiting);
    return {{"accepted", accepted},
            {"dropped", accepted - std::min(accepted, handled)},
            {"active", active - std::min(active, idle)},
            {"idle", idle}};
  }

  Json Resolvers() const { return ZonesTree(source_, conf::StatusZoneKind::kResolver); }

  // What `path` may lie in.
  Json Http(std::string_view path) const {
    using Kind = conf::StatusZoneKind;
    constexpr std::pair<std::string_view, Kind> kZones[] = {
        {"server_zones", Kind::kServer},
        {"location_zones", Kind::kLocation},
        {"limit_conns", Kind::kLimitConn},
        {"limit_reqs", Kind::kLimitReq},
    };
    path.remove_prefix(std::min(path.size(), std::string_view("http/").size()));
    const auto is_wanted = [path](std::string_view name) {
      return path.empty() || path.substr(0, path.find('/')) == name;
    };
    Json tree = Json::object();
    for (const auto& [name, kind] : kZones) {
      if (is_wanted(name)) tree[name] = ZonesTree(source_, kind);
    }
    if (is_wanted("upstreams")) tree["upstreams"] = Upstreams();
    return tree;
  }

 private:
  // Upstreams without `zone` are not shown: each worker has numbers of its own.
  Json Upstreams() const {
    Json all = Json::object();
    for (UpstreamGroup* group : source_.upstreams) {
      const conf::Upstream& upstream = group->conf();
      if (upstream.zone.empty()) continue;
      Json& tree = all[upstream.name] = {{"peers", Json::object()}};
      for (const Peer& peer : group->peers()) tree["peers"][peer.name] = PeerTree(upstream, peer);
      tree["zone"] = upstream.zone;
    }
    return all;
  }

  Json Health(const conf::Upstream& upstream, const Peer& peer) const {
    const shm::PeerState& state = *peer.state;
    Json json = {{"fails", state.failed.load(kRelaxed)},
                 {"unavailable", state.unavailable.load(kRelaxed)},
                 {"downtime", DowntimeMs(peer, source_.now_ms)}};
    if (const uint64_t since = AwaySinceMs(peer); since != 0)
      json["downstart"] = TimeJson(WallMsOfMonotonic(since), is_epoch_);
    json["header_time"] = state.header_time_ms.load(kRelaxed);
    json["response_time"] = state.response_time_ms.load(kRelaxed);
    if (!upstream.checks.empty()) {
      json["probes"] = {{"count", state.probes.load(kRelaxed)},
                        {"fails", state.failed_probes.load(kRelaxed)}};
    }
    return json;
  }

  bool IsRecovering(const Peer& peer) const {
    const uint64_t started = peer.state->standing().started_ms.load(kRelaxed);
    return started != 0 &&
           Since(source_.now_ms, started) < static_cast<uint64_t>(peer.conf->slow_start.count());
  }

  // Angie has no word for a peer whose drain has ended, and one for a slow start.
  std::string_view StateName(const Peer& peer) const {
    const std::string_view name = PeerStateName(peer, source_.now_ms);
    if (name == "drained") return "draining";
    return name == "up" && IsRecovering(peer) ? "recovering" : name;
  }

  Json PeerTree(const conf::Upstream& upstream, const Peer& peer) const {
    const shm::PeerState& state = *peer.state;
    Json json = {{"server", peer.conf->name}};
    if (!peer.conf->service.empty()) json["service"] = peer.conf->service;
    json["backup"] = peer.backup;
    json["weight"] = peer.weight();
    json["state"] = StateName(peer);
    json["selected"] = {{"current", peer.conns()}, {"total", state.requests.load(kRelaxed)}};
    if (const uint64_t last = state.selected_ms.load(kRelaxed); last != 0)
      json["selected"]["last"] = TimeJson(WallMsOfMonotonic(last) / 1000 * 1000, is_epoch_);
    if (peer.conf->max_conns > 0) json["max_conns"] = peer.conf->max_conns;
    json["responses"] = Responses(state);
    json["data"] = {{"sent", state.sent.load(kRelaxed)},
                    {"received", state.received.load(kRelaxed)}};
    json["health"] = Health(upstream, peer);
    json["sid"] = ClientId(peer);
    return json;
  }

  const StatusSource& source_;
  const bool is_epoch_;
};

// The longest name of a member that `path` begins with: names may hold slashes (unix:/run/app).
std::optional<std::string> FirstName(const Json& tree, std::string_view path) {
  std::optional<std::string> found;
  if (!tree.is_object()) return found;
  for (const auto& [name, unused] : tree.items()) {
    const bool fits =
        path.starts_with(name) && (path.size() == name.size() || path[name.size()] == '/');
    if (fits && (!found || name.size() > found->size())) found = name;
  }
  return found;
}

}  // namespace

bool IsOfAngie(std::string_view collection) {
  return collection == "angie" || collection == "connections" || collection == "resolvers" ||
         collection == "http";
}

StatusReply AngiePage(const StatusSource& source, std::string_view path, std::string_view args) {
  const Tree all(source, Argument(args, "date") == "epoch");
  Json root = Json::object();  // of it, what is asked for
  if (path.starts_with("angie")) root["angie"] = all.Process();
  if (path.starts_with("connections")) root["connections"] = all.Connections();
  if (path.starts_with("resolvers")) root["resolvers"] = all.Resolvers();
  if (path.starts_with("http")) root["http"] = all.Http(path);
  const Json* tree = &root;
  while (!path.empty()) {
    const auto name = FirstName(*tree, path);
    if (!name) return NotFound("no such page");
    tree = &(*tree)[*name];
    path.remove_prefix(std::min(name->size() + 1, path.size()));
  }
  return Good(*tree);
}

}  // namespace limpet::worker
