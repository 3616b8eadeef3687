#include "worker/sticky/session_plan.h"

#include <gtest/gtest.h>

#include <string>

namespace limpet::worker {
namespace {

using Action = SessionAction;
using Busy = conf::SessionPolicy::Busy;
using Down = conf::SessionPolicy::Down;
using Failback = conf::SessionPolicy::Failback;
using Kind = conf::StickyKind;
using Status = StickyStatus;

struct Row {
  std::string what;
  Kind kind = Kind::kLearn;
  Down on_down = Down::kRebind;
  Busy on_busy = Busy::kRebind;
  Failback failback = Failback::kNever;
  bool strict = false;
  HomeState home = HomeState::kReady;
  SessionPlan plan;
};

const Row kRows[] = {
    // What nginx does.
    {.what = "no session", .home = HomeState::kNone, .plan = {}},
    {.what = "unknown id", .kind = Kind::kCookie, .home = HomeState::kUnknown, .plan = {}},
    {.what = "ready", .plan = {Action::kUseHome, Status::kHit}},
    {.what = "down", .home = HomeState::kDown, .plan = {Action::kBalance, Status::kRebound}},
    {.what = "full", .home = HomeState::kFull, .plan = {Action::kBalance, Status::kBusy}},
    {.what = "drained", .home = HomeState::kDrained, .plan = {Action::kBalance, Status::kDrained}},
    // on_down
    {.what = "down, temporary",
     .on_down = Down::kTemporary,
     .home = HomeState::kDown,
     .plan = {Action::kStandIn, Status::kRebound}},
    {.what = "down, fail",
     .on_down = Down::kFail,
     .home = HomeState::kDown,
     .plan = {Action::kRefuse, Status::kStrict, 503}},
    {.what = "drained, temporary: it does not come back",
     .on_down = Down::kTemporary,
     .home = HomeState::kDrained,
     .plan = {Action::kBalance, Status::kDrained}},
    {.what = "full is not down",
     .on_down = Down::kFail,
     .home = HomeState::kFull,
     .plan = {Action::kBalance, Status::kBusy}},
    // on_busy
    {.what = "full, queue",
     .on_busy = Busy::kQueue,
     .home = HomeState::kFull,
     .plan = {Action::kWait, Status::kBusy}},
    {.what = "full, fail",
     .on_busy = Busy::kFail,
     .home = HomeState::kFull,
     .plan = {Action::kRefuse, Status::kBusy, 429}},
    {.what = "down is not full",
     .on_busy = Busy::kFail,
     .home = HomeState::kDown,
     .plan = {Action::kBalance, Status::kRebound}},
    // failback of what the client keeps
    {.what = "a cookie that goes back keeps its home",
     .kind = Kind::kCookie,
     .failback = Failback::kImmediate,
     .home = HomeState::kDown,
     .plan = {Action::kStandIn, Status::kRebound}},
    {.what = "so it does when its home is full",
     .kind = Kind::kCookie,
     .failback = Failback::kImmediate,
     .home = HomeState::kFull,
     .plan = {Action::kStandIn, Status::kBusy}},
    {.what = "a learned one is moved, and moved back",
     .failback = Failback::kImmediate,
     .home = HomeState::kDown,
     .plan = {Action::kBalance, Status::kRebound}},
    // sticky_strict
    {.what = "strict, no session", .strict = true, .home = HomeState::kNone, .plan = {}},
    {.what = "strict, ready", .strict = true, .plan = {Action::kUseHome, Status::kHit}},
    {.what = "strict, unknown id",
     .strict = true,
     .home = HomeState::kUnknown,
     .plan = {Action::kRefuse, Status::kStrict, 502}},
    {.what = "strict, down",
     .strict = true,
     .home = HomeState::kDown,
     .plan = {Action::kRefuse, Status::kStrict, 502}},
    {.what = "strict, full",
     .strict = true,
     .home = HomeState::kFull,
     .plan = {Action::kRefuse, Status::kStrict, 502}},
    {.what = "strict, full, queue",
     .on_busy = Busy::kQueue,
     .strict = true,
     .home = HomeState::kFull,
     .plan = {Action::kWait, Status::kBusy}},
    {.what = "strict, drained",
     .strict = true,
     .home = HomeState::kDrained,
     .plan = {Action::kRefuse, Status::kStrict, 502}},
};

TEST(SessionPlan, IsWhatTheTableSays) {
  for (const Row& row : kRows) {
    conf::Sticky conf;
    conf.kind = row.kind;
    conf.strict = row.strict;
    conf.policy = {row.on_down, 503, row.on_busy, 429, row.failback};
    const SessionPlan plan = PlanSession(conf, row.home);
    EXPECT_EQ(plan.action, row.plan.action) << row.what;
    EXPECT_EQ(plan.status, row.plan.status) << row.what;
    if (plan.action == Action::kRefuse) {
      EXPECT_EQ(plan.code, row.plan.code) << row.what;
    }
  }
}

TEST(SessionPlan, OfAFullStandInFollowsOnBusy) {
  conf::Sticky conf;
  EXPECT_EQ(PlanFullStandIn(conf), (SessionPlan{Action::kStandIn, Status::kBusy}));
  conf.policy.on_busy = Busy::kQueue;
  EXPECT_EQ(PlanFullStandIn(conf), (SessionPlan{Action::kWait, Status::kBusy}));
  conf.policy.on_busy = Busy::kFail;
  conf.policy.busy_code = 429;
  EXPECT_EQ(PlanFullStandIn(conf), (SessionPlan{Action::kRefuse, Status::kBusy, 429}));
}

TEST(ReturnsHome, NeverWhenIdleOrAtOnce) {
  conf::SessionPolicy policy;
  EXPECT_FALSE(ReturnsHome(policy, 999'999, 600'000));
  policy.failback = Failback::kImmediate;
  EXPECT_TRUE(ReturnsHome(policy, 0, 600'000));
  policy.failback = Failback::kIdle;
  EXPECT_FALSE(ReturnsHome(policy, 299'999, 600'000));
  EXPECT_TRUE(ReturnsHome(policy, 300'000, 600'000));
  EXPECT_FALSE(ReturnsHome(policy, 300'000, 0));
}

TEST(StickyStatus, HasANameForEach) {
  EXPECT_EQ(Name(Status::kNone), "");
  EXPECT_EQ(Name(Status::kNew), "new");
  EXPECT_EQ(Name(Status::kRebound), "rebound");
  EXPECT_EQ(Name(Status::kFull), "full");
}

}  // namespace
}  // namespace limpet::worker
