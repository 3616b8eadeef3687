// What `api` answers to GET.
#include "worker/status/json_fields.h"
#include "worker/status/json_parts.h"
#include "worker/status/overview_page.h"
#include "worker/status/peer_facts.h"
#include "worker/status/status.h"

namespace limpet::worker {
namespace {

StatusReply AllZones(const StatusSource& source, bool history, std::string_view args) {
  Json all = Json::object();
  for (const conf::SessionZone& conf : source.http.session_zones) {
    const ZoneRef zone = FindZone(source, conf.name);
    if (zone) all[conf.name] = ZoneJson(source, zone, history);
  }
  return GoodFields(all, args);
}

// `sessions`, `sessions/ZONE`, `sessions/ZONE/KEY`. A key may hold slashes, and where it holds what
// a path cannot, it is given as ?key=.
StatusReply Sessions(const StatusSource& source, std::string_view rest, std::string_view args) {
  const bool history = Argument(args, "history").has_value();
  if (rest.empty()) return AllZones(source, history, args);
  const size_t slash = rest.find('/');
  const ZoneRef zone = FindZone(source, rest.substr(0, slash));
  if (!zone) return NoSuchZone(source, rest.substr(0, slash));
  const auto argument = Argument(args, "key");
  if (slash == rest.npos && !argument) return GoodFields(ZoneJson(source, zone, history), args);
  const Json session = SessionJson(source, zone, argument ? *argument : rest.substr(slash + 1));
  return session.is_null() ? NotFound("no such session") : GoodFields(session, args);
}

// `upstreams`, `upstreams/NAME`, `upstreams/NAME/peers/PEER`; names and addresses may hold slashes
// (unix:/run/app.sock).
StatusReply Upstreams(const StatusSource& source, std::string_view rest, std::string_view args) {
  if (rest.empty()) {
    Json all = Json::object();
    for (UpstreamGroup* group : source.upstreams)
      all[UpstreamName(group->conf())] = UpstreamJson(source, *group);
    return GoodFields(all, args);
  }
  if (UpstreamGroup* group = FindUpstream(source, rest))
    return GoodFields(UpstreamJson(source, *group), args);
  const PeerPath path = SplitPeerPath(rest);
  UpstreamGroup* group = path.peer.empty() ? nullptr : FindUpstream(source, path.upstream);
  if (group == nullptr) return NoSuchUpstream(source, path.upstream);
  const auto peers = FindPeers(*group, path.peer);
  if (peers.empty()) return NoSuchServer(*group, path.peer);
  return GoodFields(PeerJson(source, group->conf(), *peers.front()), args);
}

// With ?problems=1 also what is wrong now.
StatusReply Alerts(const StatusSource& source, std::string_view args) {
  if (!Argument(args, "problems")) return GoodFields(AlertsJson(source), args);
  return GoodFields({{"problems", ProblemsJson(source)}, {"alerts", AlertsJson(source)}}, args);
}

}  // namespace

StatusReply ApiError(int status, std::string_view text) {
  return {status, Dump({{"error", {{"status", status}, {"text", text}}}})};
}

StatusReply ApiPage(const StatusSource& source, std::string_view path, std::string_view args) {
  if (path.ends_with('/')) path.remove_suffix(1);
  if (path.empty()) return GoodFields(RootJson(source), args);
  const size_t slash = path.find('/');
  const std::string_view collection = path.substr(0, slash);
  const std::string_view rest = slash == path.npos ? std::string_view{} : path.substr(slash + 1);
  if (slash != path.npos && rest.empty()) return NotFound("no such page");
  if (collection == "sessions") return Sessions(source, rest, args);
  if (collection == "upstreams") return Upstreams(source, rest, args);
  if (collection == "stores") return StoresPage(source, rest);
  if (IsOfAngie(collection)) return AngiePage(source, path, args);
  if (path == "geoip2") return Geoip2Page(source);
  if (path == "jwt") return JwtPage(source);
  if (path == "alerts") return Alerts(source, args);
  if (path == "problems") return GoodFields(ProblemsJson(source), args);
  if (path == "zones") return GoodFields(ZonesJson(source), args);
  if (path == "certificates") return GoodFields(CertificatesJson(source), args);
  if (path == "history") return GoodFields(HourJson(source), args);
  return NotFound("no such page");
}

}  // namespace limpet::worker
