// What both status pages say about an upstream and its peers.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "worker/status/status.h"

namespace limpet::worker {

// As written, but with the port where a proxy_pass address made it: http://h and https://h are two.
std::string UpstreamName(const conf::Upstream& upstream);

// What PeerStateName says, the best first.
inline constexpr std::array<std::string_view, 8> kPeerStates = {
    "up", "busy", "draining", "drained", "down", "checking", "unavailable", "unhealthy"};

// "up", "draining", "drained" (empty), "busy" (at max_conns), "unavailable" (over max_fails, until
// a request has succeeded again), "unhealthy", "checking" (a mandatory check has yet to pass) or
// "down".
std::string_view PeerStateName(const Peer& peer, uint64_t now_ms);

// Of a request that has tried nothing yet. The only peer of a group is never given up for failures.
PeerCondition ConditionNow(UpstreamGroup& group, const Peer& peer, bool bound_session,
                           uint64_t now_ms);

// Until the deadline of its drain, which may have passed: 0; nullopt: there is none.
std::optional<uint64_t> DrainLeftMs(const Peer& peer, uint64_t now_ms);

// Learned sessions that are bound to the peer; nullopt if its upstream learns none.
std::optional<uint64_t> BoundSessions(const StatusSource& source, const conf::Upstream& upstream,
                                      const Peer& peer);

}  // namespace limpet::worker
