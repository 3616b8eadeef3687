#include "worker/status/peer_facts.h"

#include <fmt/format.h>

#include "worker/upstream/balancer.h"
#include "worker/upstream/downtime.h"

namespace limpet::worker {

std::string UpstreamName(const conf::Upstream& upstream) {
  if (!upstream.implicit || upstream.servers.empty() || upstream.name.starts_with("unix:"))
    return upstream.name;
  const std::string port = fmt::format(":{}", upstream.servers[0].port);
  return upstream.name.ends_with(port) ? upstream.name : upstream.name + port;
}

std::string_view PeerStateName(const Peer& peer, uint64_t now_ms) {
  const uint32_t flags = peer.state->standing().flags.load(std::memory_order_relaxed);
  // What an operator has taken out, and nobody needs, may be stopped: that its checks fail then is
  // no news. One that drains and still has sessions is missed.
  if (peer.conf->down || (flags & shm::kPeerDown) != 0) return "down";
  if (peer.draining() && (flags & shm::kPeerDrained) != 0) return "drained";
  if ((flags & shm::kPeerUnhealthy) != 0) return "unhealthy";
  if (peer.checking()) return "checking";
  if (peer.draining()) return "draining";
  if (peer.down() || IsOverMaxFails(peer)) return "unavailable";
  return CanTake(peer, now_ms, true) ? "up" : "busy";
}

PeerCondition ConditionNow(UpstreamGroup& group, const Peer& peer, bool bound_session,
                           uint64_t now_ms) {
  if (!group.single()) return ConditionOf(peer, now_ms, bound_session);
  PeerSelection fresh;
  fresh.set = group.current();
  return group.Condition(fresh, peer, bound_session, now_ms);
}

std::optional<uint64_t> DrainLeftMs(const Peer& peer, uint64_t now_ms) {
  const uint64_t until = peer.state->standing().drain_until_ms.load(std::memory_order_relaxed);
  if (until == 0) return std::nullopt;
  return until > now_ms ? until - now_ms : 0;
}

std::optional<uint64_t> BoundSessions(const StatusSource& source, const conf::Upstream& upstream,
                                      const Peer& peer) {
  if (upstream.sticky.kind != conf::StickyKind::kLearn || upstream.sticky.learn.zone < 0)
    return std::nullopt;
  const auto zone = static_cast<size_t>(upstream.sticky.learn.zone);
  if (zone >= source.sessions.size() || source.sessions[zone] == nullptr) return std::nullopt;
  const shm::SessionTable& table = *source.sessions[zone];
  return table.PeerLive(table.peers().Find(peer.server_id));  // a peer without an entry has none
}

}  // namespace limpet::worker
