// What `api` answers to GET.
#include "worker/status/json_parts.h"
#include "worker/status/peer_facts.h"
#include "worker/status/status.h"

namespace limpet::worker {
namespace {

StatusReply AllZones(const StatusSource& source, bool history) {
  Json all = Json::object();
  for (const conf::SessionZone& conf : source.http.session_zones) {
    const ZoneRef zone = FindZone(source, conf.name);
    if (zone) all[conf.name] = ZoneJson(source, zone, history);
  }
  return Good(all);
}

// `sessions`, `sessions/ZONE`, `sessions/ZONE/KEY`. A key may hold slashes, and where it holds what
// a path cannot, it is given as ?key=.
StatusReply Sessions(const StatusSource& source, std::string_view rest, std::string_view args) {
  const bool history = Argument(args, "history").has_value();
  if (rest.empty()) return AllZones(source, history);
  const size_t slash = rest.find('/');
  const ZoneRef zone = FindZone(source, rest.substr(0, slash));
  if (!zone) return NotFound("no such session zone");
  const auto argument = Argument(args, "key");
  if (slash == rest.npos && !argument) return Good(ZoneJson(source, zone, history));
  const Json session = SessionJson(source, zone, argument ? *argument : rest.substr(slash + 1));
  return session.is_null() ? NotFound("no such session") : Good(session);
}

// `upstreams`, `upstreams/NAME`, `upstreams/NAME/peers/PEER`; names and addresses may hold slashes
// (unix:/run/app.sock).
StatusReply Upstreams(const StatusSource& source, std::string_view rest) {
  if (rest.empty()) {
    Json all = Json::object();
    for (UpstreamGroup* group : source.upstreams)
      all[UpstreamName(group->conf())] = UpstreamJson(source, *group);
    return Good(all);
  }
  if (UpstreamGroup* group = FindUpstream(source, rest)) return Good(UpstreamJson(source, *group));
  const PeerPath path = SplitPeerPath(rest);
  UpstreamGroup* group = path.peer.empty() ? nullptr : FindUpstream(source, path.upstream);
  if (group == nullptr) return NotFound("no such upstream");
  const auto peers = FindPeers(*group, path.peer);
  if (peers.empty()) return NotFound("no such server");
  return Good(PeerJson(source, group->conf(), *peers.front()));
}

}  // namespace

StatusReply ApiError(int status, std::string_view text) {
  return {status, Dump({{"error", {{"status", status}, {"text", text}}}})};
}

StatusReply ApiPage(const StatusSource& source, std::string_view path, std::string_view args) {
  if (path.ends_with('/')) path.remove_suffix(1);
  if (path.empty()) return Good(RootJson(source));
  const size_t slash = path.find('/');
  const std::string_view collection = path.substr(0, slash);
  const std::string_view rest = slash == path.npos ? std::string_view{} : path.substr(slash + 1);
  if (slash != path.npos && rest.empty()) return NotFound("no such page");
  if (collection == "sessions") return Sessions(source, rest, args);
  if (collection == "upstreams") return Upstreams(source, rest);
  if (collection == "stores") return StoresPage(source, rest);
  if (collection == "http") return AngiePage(source, rest);
  if (path == "geoip2") return Geoip2Page(source);
  if (path == "alerts") return Good(AlertsJson(source));
  return NotFound("no such page");
}

}  // namespace limpet::worker
