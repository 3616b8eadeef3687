// sticky route: which server the request's variables name.
#include "worker/sticky/route_policy.h"

#include <gtest/gtest.h>

#include "base/hash.h"
#include "tests/worker/sticky/policy_fixture.h"

namespace limpet::worker {
namespace {

using Status = StickyStatus;

constexpr FindRow kRows[] = {
    {"no variable has a value", {"", ""}, "", Status::kNew},
    {"the first names a server", {"a", ""}, "a", Status::kHit},
    {"the second does", {"", "b"}, "b", Status::kHit},
    {"the first that is not empty counts", {"a", "b"}, "a", Status::kHit},
    {"even if it names no server", {"x", "b"}, "", Status::kMiss},
    {"all of the name counts", {"ab", ""}, "", Status::kMiss},
};

TEST(RoutePolicy, FindsWhatTheTableSays) {
  PolicyFixture fixture("sticky route $cookie_route $arg_route;");
  for (const FindRow& row : kRows) {
    ExpectFound(fixture, {"cookie_route", "arg_route"}, row);
    EXPECT_EQ(fixture.OnChosen("a"), "") << row.why << ": the client's route is its own business";
  }
}

TEST(RoutePolicy, KnowsServersByTheirDigestsUnderASecret) {
  PolicyFixture fixture("sticky route $cookie_route; sticky_secret pepper;");
  EXPECT_EQ(fixture.Find({{"cookie_route", Md5Hex("bpepper")}}), &fixture.peer("b"));
  EXPECT_EQ(fixture.Find({{"cookie_route", "b"}}), nullptr);
  EXPECT_EQ(fixture.state.status, Status::kMiss);
}

}  // namespace
}  // namespace limpet::worker
