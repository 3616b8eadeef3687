#include "worker/sticky/sticky.h"

#include <array>

#include "base/hash.h"
#include "worker/sticky/cookie_policy.h"
#include "worker/sticky/learn_policy.h"
#include "worker/sticky/route_policy.h"
#include "worker/upstream/upstream_group.h"

namespace limpet::worker {

std::string_view Name(StickyStatus status) {
  static constexpr std::array<std::string_view, 13> kNames = {
      "",       "new",     "hit",  "miss",   "expired", "rebound", "busy",
      "strict", "drained", "full", "joined", "quota",   "asked"};
  return kNames[static_cast<size_t>(status)];
}

std::string VisibleId(const conf::Sticky& conf, conf::VariableReader& request, const Peer& peer) {
  const std::string_view secret = conf.secret.Evaluate(request);
  std::string id = ClientId(peer);
  return secret.empty() ? id : Md5Hex(id.append(secret));
}

Peer* FindByVisibleId(const conf::Sticky& conf, conf::VariableReader& request, UpstreamGroup& group,
                      std::string_view id) {
  const std::string_view secret = conf.secret.Evaluate(request);
  if (secret.empty()) return group.FindByServerId(id);
  const auto is_it = [id, secret](std::string known) { return Md5Hex(known.append(secret)) == id; };
  for (Peer& peer : group.peers()) {
    if (is_it(ClientId(peer))) return &peer;
  }
  for (Peer& peer : group.peers()) {  // as cookies of earlier versions have it
    if (is_it(peer.server_id)) return &peer;
  }
  return nullptr;
}

std::unique_ptr<StickyPolicy> MakeSticky(const conf::Upstream& conf, UpstreamGroup& group,
                                         const StickySessions& sessions) {
  switch (conf.sticky.kind) {
    case conf::StickyKind::kNone:
      return nullptr;
    case conf::StickyKind::kCookie:
      return MakeCookiePolicy(conf.sticky, group);
    case conf::StickyKind::kRoute:
      return MakeRoutePolicy(conf.sticky, group);
    case conf::StickyKind::kLearn:
      if (sessions.zone == nullptr || sessions.table == nullptr) return nullptr;
      return MakeLearnPolicy(conf.sticky, group, sessions);
  }
  return nullptr;
}

}  // namespace limpet::worker
