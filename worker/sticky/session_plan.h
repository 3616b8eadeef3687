// What becomes of a request whose session lives at a certain server: sticky_policy and
// sticky_strict as one table. Pure; the one place that decides it.
#pragma once

#include <cstdint>

#include "conf/upstream.h"
#include "worker/sticky/sticky.h"

namespace limpet::worker {

// How the session's server is, as the request finds it.
enum class HomeState : uint8_t {
  kNone,     // the request has no session
  kUnknown,  // its cookie or route names no server of the group, or its server has gone
  kReady,
  kFull,    // at max_conns
  kDown,    // cannot be used, or has just failed this request
  kDrained  // its drain is over
};

enum class SessionAction : uint8_t {
  kBalance,  // any server, which takes the session over
  kStandIn,  // the one that stands in for the session's server; the session stays there
  kUseHome,  // the session's server and no other
  kWait,     // until the session's server has a free place
  kRefuse    // the client gets `code`
};

struct SessionPlan {
  SessionAction action = SessionAction::kBalance;
  StickyStatus status = StickyStatus::kNone;  // kNone: as it was found
  int code = 502;                             // of kRefuse

  bool operator==(const SessionPlan&) const = default;
};

SessionPlan PlanSession(const conf::Sticky& conf, HomeState home);
// The same where the server that stands in for the session's own is at max_conns: kStandIn is
// another one then.
SessionPlan PlanFullStandIn(const conf::Sticky& conf);

// Whether a session that was moved off its server goes back to it, which can take it again.
// `timeout_ms` 0: sessions do not end by being idle.
bool ReturnsHome(const conf::SessionPolicy& policy, uint64_t idle_ms, uint64_t timeout_ms);

}  // namespace limpet::worker
