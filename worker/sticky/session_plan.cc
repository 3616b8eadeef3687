#include "worker/sticky/session_plan.h"

namespace limpet::worker {
namespace {

using conf::SessionPolicy;
using Action = SessionAction;

// Another server answers. Cookies that come back at once keep naming the server they came from:
// there is no better memory of it.
Action Elsewhere(const conf::Sticky& conf, bool temporary) {
  const bool comes_back = conf.policy.failback == SessionPolicy::Failback::kImmediate &&
                          conf.kind != conf::StickyKind::kLearn;
  return temporary || comes_back ? Action::kStandIn : Action::kBalance;
}

SessionPlan WhenDown(const conf::Sticky& conf) {
  const SessionPolicy& policy = conf.policy;
  if (policy.on_down == SessionPolicy::Down::kFail)
    return {Action::kRefuse, StickyStatus::kStrict, policy.down_code};
  const bool temporary = policy.on_down == SessionPolicy::Down::kTemporary;
  return {Elsewhere(conf, temporary), StickyStatus::kRebound};
}

SessionPlan WhenFull(const conf::Sticky& conf) {
  const SessionPolicy& policy = conf.policy;
  switch (policy.on_busy) {
    case SessionPolicy::Busy::kQueue:
      return {Action::kWait, StickyStatus::kBusy};
    case SessionPolicy::Busy::kFail:
      return {Action::kRefuse, StickyStatus::kBusy, policy.busy_code};
    case SessionPolicy::Busy::kRebind:
      break;
  }
  return {Elsewhere(conf, false), StickyStatus::kBusy};
}

}  // namespace

SessionPlan PlanSession(const conf::Sticky& conf, HomeState home) {
  constexpr SessionPlan kStrict{Action::kRefuse, StickyStatus::kStrict};
  const bool waits = conf.policy.on_busy == SessionPolicy::Busy::kQueue;
  switch (home) {
    case HomeState::kNone:
      return {};
    case HomeState::kUnknown:
      return conf.strict ? kStrict : SessionPlan{};
    case HomeState::kReady:
      return {Action::kUseHome, StickyStatus::kHit};
    case HomeState::kFull:
      return conf.strict && !waits ? kStrict : WhenFull(conf);
    case HomeState::kDown:
      return conf.strict ? kStrict : WhenDown(conf);
    case HomeState::kDrained:  // it does not come back: nothing to be temporary about
      return conf.strict ? kStrict : SessionPlan{Action::kBalance, StickyStatus::kDrained};
  }
  return {};
}

SessionPlan PlanFullStandIn(const conf::Sticky& conf) {
  SessionPlan plan = WhenFull(conf);
  if (plan.action == Action::kBalance) plan.action = Action::kStandIn;
  return plan;
}

bool ReturnsHome(const conf::SessionPolicy& policy, uint64_t idle_ms, uint64_t timeout_ms) {
  switch (policy.failback) {
    case SessionPolicy::Failback::kNever:
      return false;
    case SessionPolicy::Failback::kImmediate:
      return true;
    case SessionPolicy::Failback::kIdle:
      return timeout_ms > 0 && idle_ms >= timeout_ms / 2;
  }
  return false;
}

}  // namespace limpet::worker
