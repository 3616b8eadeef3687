// The JSON of `api`.
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "worker/status/fields.h"
#include "worker/status/peer_facts.h"
#include "worker/status/status.h"

namespace limpet::worker {
namespace {

using Json = nlohmann::ordered_json;

// Names in a configuration are bytes, not always UTF-8: what is not is replaced instead of thrown
// about.
std::string Dump(const Json& json) {
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

StatusReply Good(const Json& json) { return {200, Dump(json)}; }
StatusReply NotFound(std::string_view what) { return ApiError(404, what); }

Json Counters(const shm::SessionCounters& counters) {
  Json json = Json::object();
  for (const SessionField& field : kSessionFields)
    json[std::string(field.name)] = counters.*field.value;
  return json;
}

bool HasCounted(const shm::SessionCounters& counters) {
  for (const SessionField& field : kSessionFields) {
    if (counters.*field.value != 0) return true;
  }
  return false;
}

Json Workers(const shm::SessionTable& table) {
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

Json Zone(const shm::SessionTable& table) {
  const uint64_t capacity = table.Capacity(), active = table.Live();
  Json json = {
      {"capacity", capacity},
      {"active", active},
      {"fill", capacity > 0 ? static_cast<double>(active) / static_cast<double>(capacity) : 0.0}};
  json.update(Counters(table.Sum()));
  json["workers"] = Workers(table);
  return json;
}

Json PeerJson(const StatusSource& source, const conf::Upstream& upstream, const Peer& peer) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  Json json = {{"server", peer.name},
               {"id", peer.server_id},
               {"name", peer.server},
               {"state", PeerStateName(peer, source.now_ms)},
               {"backup", peer.backup},
               {"weight", peer.weight()},
               {"conns", peer.conns()},
               {"requests", peer.state->requests.load(kRelaxed)},
               {"fails", peer.state->failed.load(kRelaxed)},
               {"unavailable", peer.state->unavailable.load(kRelaxed)}};
  if (const auto sessions = BoundSessions(source, upstream, peer)) json["sessions"] = *sessions;
  return json;
}

Json UpstreamJson(const StatusSource& source, UpstreamGroup& group) {
  Json peers = Json::array();
  for (const Peer& peer : group.peers()) peers.push_back(PeerJson(source, group.conf(), peer));
  return {{"shared", !group.conf().zone.empty()}, {"peers", std::move(peers)}};
}

StatusReply Root(const StatusSource& source) {
  Json connections = Json::object();
  for (const ConnectionField& field : kConnectionFields) {
    connections[std::string(field.name)] = field.sum(source.counters);
  }
  return Good({{"version", LIMPET_VERSION},
               {"generation", source.generation},
               {"pid", ::getpid()},
               {"connections", std::move(connections)}});
}

// `name` empty: all of them.
StatusReply Sessions(const StatusSource& source, std::string_view name) {
  Json all = Json::object();
  for (size_t i = 0; i < source.sessions.size() && i < source.http.session_zones.size(); ++i) {
    const std::string& zone = source.http.session_zones[i].name;
    if (source.sessions[i] == nullptr) continue;
    if (name.empty()) all[zone] = Zone(*source.sessions[i]);
    if (name == zone) return Good(Zone(*source.sessions[i]));
  }
  return name.empty() ? Good(all) : NotFound("no such session zone");
}

StatusReply Upstreams(const StatusSource& source, std::string_view name) {
  Json all = Json::object();
  for (UpstreamGroup* group : source.upstreams) {
    const std::string upstream = UpstreamName(group->conf());
    if (name.empty()) all[upstream] = UpstreamJson(source, *group);
    if (name == upstream) return Good(UpstreamJson(source, *group));
  }
  return name.empty() ? Good(all) : NotFound("no such upstream");
}

}  // namespace

StatusReply ApiError(int status, std::string_view message) {
  return {status, Dump({{"error", {{"status", status}, {"message", message}}}})};
}

StatusReply ApiPage(const StatusSource& source, std::string_view path) {
  if (path.ends_with('/')) path.remove_suffix(1);
  if (path.empty()) return Root(source);
  const size_t slash = path.find('/');
  const std::string_view collection = path.substr(0, slash);
  const std::string_view name = slash == path.npos ? std::string_view{} : path.substr(slash + 1);
  if (slash != path.npos && name.empty()) return NotFound("no such page");
  if (collection == "sessions") return Sessions(source, name);
  if (collection == "upstreams") return Upstreams(source, name);
  return NotFound("no such page");
}

}  // namespace limpet::worker
