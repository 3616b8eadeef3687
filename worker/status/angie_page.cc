// `http/upstreams…`: what users of Angie's API find below /status/, in its words and its form, as
// far as limpet counts it. A path goes as deep as the tree does, down to a single value.
#include <algorithm>
#include <array>
#include <optional>

#include "worker/status/json_parts.h"
#include "worker/status/peer_facts.h"

namespace limpet::worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// Angie counts each status, limpet each class.
Json Responses(const shm::PeerState& state) {
  constexpr std::array kClasses = {"1xx", "2xx", "3xx", "4xx", "5xx"};
  Json json = Json::object();
  for (size_t i = 0; i < kClasses.size(); ++i) {
    if (const uint64_t count = state.responses[i].load(kRelaxed); count > 0)
      json[kClasses[i]] = count;
  }
  return json;
}

Json Health(const conf::Upstream& upstream, const shm::PeerState& state) {
  Json json = {{"fails", state.failed.load(kRelaxed)},
               {"unavailable", state.unavailable.load(kRelaxed)},
               {"downtime", state.downtime_ms.load(kRelaxed)},
               {"header_time", state.header_time_ms.load(kRelaxed)},
               {"response_time", state.response_time_ms.load(kRelaxed)}};
  if (!upstream.checks.empty()) {
    json["probes"] = {{"count", state.probes.load(kRelaxed)},
                      {"fails", state.failed_probes.load(kRelaxed)}};
  }
  return json;
}

// Angie has no word for a peer whose drain has ended.
std::string_view StateName(const Peer& peer, uint64_t now_ms) {
  const std::string_view name = PeerStateName(peer, now_ms);
  return name == "drained" ? "draining" : name;
}

Json PeerTree(const StatusSource& source, const conf::Upstream& upstream, const Peer& peer) {
  const shm::PeerState& state = *peer.state;
  Json json = {{"server", peer.conf->name},
               {"backup", peer.backup},
               {"weight", peer.weight()},
               {"state", StateName(peer, source.now_ms)},
               {"selected", {{"current", peer.conns()}, {"total", state.requests.load(kRelaxed)}}}};
  if (peer.conf->max_conns > 0) json["max_conns"] = peer.conf->max_conns;
  json["responses"] = Responses(state);
  json["data"] = {{"sent", state.sent.load(kRelaxed)}, {"received", state.received.load(kRelaxed)}};
  json["health"] = Health(upstream, state);
  json["sid"] = peer.server_id;
  return json;
}

// Upstreams without `zone` are not shown: each worker has numbers of its own.
Json Upstreams(const StatusSource& source) {
  Json all = Json::object();
  for (UpstreamGroup* group : source.upstreams) {
    const conf::Upstream& upstream = group->conf();
    if (upstream.zone.empty()) continue;
    Json& tree = all[upstream.name] = {{"peers", Json::object()}};
    for (const Peer& peer : group->peers())
      tree["peers"][peer.name] = PeerTree(source, upstream, peer);
    tree["zone"] = upstream.zone;
  }
  return all;
}

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

StatusReply AngiePage(const StatusSource& source, std::string_view path) {
  const Json root = {{"upstreams", Upstreams(source)}};
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
