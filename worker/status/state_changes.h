// What the state API changes. Each function checks everything before it changes anything.
#pragma once

#include <optional>

#include "worker/status/json_parts.h"
#include "worker/status/session_sweep.h"
#include "worker/status/status.h"

namespace limpet::worker {

// PATCH upstreams/NAME/peers/PEER: {"drain": true, "deadline": "10m"} (or "10m,keep",
// "move": "20/s"), {"drain": false}, {"down": true}.
StatusReply PatchPeer(const StatusSource& source, const PeerPath& path, const Json& body);

// PATCH sessions/ZONE: {"fill_limits": {"minor": "75%", "major": "85%", "crit": "95%"}}.
StatusReply PatchZone(const StatusSource& source, const ZoneRef& zone, const Json& body);

// POST sessions/ZONE/KEY: {"move": {"to": "10.0.0.1:80"}}.
StatusReply MoveSession(const StatusSource& source, const ZoneRef& zone, std::string_view key,
                        const Json& body);

// DELETE sessions/ZONE/KEY.
StatusReply ForgetSession(const StatusSource& source, const ZoneRef& zone, std::string_view key);

// DELETE sessions/ZONE?server=S, and POST sessions/ZONE {"move": {"from": S, "to": S}}. On success
// the sweep is set and the reply is not yet.
StatusReply ForgetServer(const StatusSource& source, const ZoneRef& zone, std::string_view server,
                         std::optional<SessionSweep>* sweep);
StatusReply MoveSessions(const StatusSource& source, const ZoneRef& zone, const Json& body,
                         std::optional<SessionSweep>* sweep);

}  // namespace limpet::worker
