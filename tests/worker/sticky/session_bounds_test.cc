// sticky learn with quota= and new_rate=: what is not learned, and what is not counted.
#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "base/clock.h"
#include "shm/session_quota.h"
#include "tests/worker/sticky/policy_fixture.h"

namespace limpet::worker {
namespace {

class BoundsFixture : public PolicyFixture {
 public:
  explicit BoundsFixture(const std::string& bounds)
      : PolicyFixture("sticky learn create=$upstream_cookie_id lookup=$cookie_id zone=z:256k " +
                      bounds + ";") {
    const size_t bytes = shm::SessionQuota::BytesFor(table().Capacity());
    memory_.resize(bytes / sizeof(Line) + 1);
    quota_.emplace(reinterpret_cast<std::byte*>(memory_.data()), bytes);
    table().set_quota(&*quota_);
  }

  // An answer of "a" begins session `id` for `who`, whose request has brought `cookie`.
  StickyStatus Answer(const std::string& who, const std::string& id,
                      const std::string& cookie = "") {
    Find({{"arg_who", who}, {"cookie_id", cookie}, {"upstream_cookie_id", id}});
    policy().OnResponseHead(request(), state, peer("a"));
    policy().OnHeadLeaves(request(), state, peer("a"), false);
    policy().OnResponseEnd(request(), state, peer("a"));
    return state.status;
  }
  bool Knows(std::string_view id) {
    return table().Peek(table().KeyOf(id), BootMs()).result == shm::LookupResult::kHit;
  }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::vector<Line> memory_;
  std::optional<shm::SessionQuota> quota_;
};

TEST(SessionBounds, OverTheQuotaASessionIsServedAndNotLearned) {
  BoundsFixture fixture("quota=$arg_who:2");
  EXPECT_EQ(fixture.Answer("w", "1"), StickyStatus::kNew);
  EXPECT_EQ(fixture.Answer("w", "2"), StickyStatus::kNew);
  EXPECT_EQ(fixture.Answer("w", "3"), StickyStatus::kQuota);
  EXPECT_EQ(Name(StickyStatus::kQuota), "quota");
  EXPECT_EQ(Name(StickyStatus::kAsked), "asked");
  EXPECT_TRUE(fixture.Knows("1") && fixture.Knows("2"));
  EXPECT_FALSE(fixture.Knows("3"));
  EXPECT_FALSE(fixture.state.has_learned);
  EXPECT_EQ(fixture.table().Sum().over_quota, 1u);
  EXPECT_EQ(fixture.Answer("other", "4"), StickyStatus::kNew);
  EXPECT_NE(fixture.policy().QuotaNote(fixture.request()).find("1 sessions of 2"),
            std::string::npos);
}

TEST(SessionBounds, SessionsThatLiveAreLearnedAgainAtNoCharge) {
  BoundsFixture fixture("quota=$arg_who:2");
  for (int i = 0; i < 5; ++i) {
    fixture.Answer("w", "1", i == 0 ? "" : "1");  // the server sets its cookie with each answer
    EXPECT_EQ(fixture.state.status, i == 0 ? StickyStatus::kNew : StickyStatus::kHit);
  }
  EXPECT_EQ(fixture.Answer("w", "1"), StickyStatus::kNew) << "its cookie was not brought";
  EXPECT_EQ(fixture.Answer("w", "2"), StickyStatus::kNew);
  EXPECT_EQ(fixture.Answer("w", "3"), StickyStatus::kQuota);
  EXPECT_EQ(fixture.table().Sum().over_quota, 1u);
}

TEST(SessionBounds, WhoHasASessionKeepsItWhenANewOneIsRefused) {
  BoundsFixture fixture("quota=$arg_who:1");
  fixture.Answer("w", "1");
  EXPECT_EQ(fixture.Answer("w", "2", "1"), StickyStatus::kHit);
  EXPECT_TRUE(fixture.Knows("1"));
  EXPECT_FALSE(fixture.Knows("2"));
}

TEST(SessionBounds, EndedSessionsMakeRoom) {
  BoundsFixture fixture("quota=$arg_who:1");
  fixture.Answer("w", "1");
  fixture.table().Forget(fixture.table().KeyOf("1"), BootMs());
  EXPECT_EQ(fixture.Answer("w", "2"), StickyStatus::kNew);
  EXPECT_TRUE(fixture.Knows("2"));
}

TEST(SessionBounds, SessionsOfOtherMachinesAreNotCounted) {
  BoundsFixture fixture("quota=$arg_who:1");
  for (const char* id : {"1", "2", "3"})  // as they come from a store
    fixture.table().Learn(fixture.table().KeyOf(id), fixture.peer("b").session_index, BootMs());
  EXPECT_EQ(fixture.Answer("w", "2", "2"), StickyStatus::kHit);
  EXPECT_EQ(fixture.Answer("w", "4"), StickyStatus::kNew);
  EXPECT_EQ(fixture.Answer("w", "5"), StickyStatus::kQuota);
}

TEST(SessionBounds, ARateOfAllClientsAndOfEach) {
  BoundsFixture all("new_rate=1r/m:1");
  EXPECT_EQ(all.Answer("v", "1"), StickyStatus::kNew);
  EXPECT_EQ(all.Answer("w", "2"), StickyStatus::kNew);
  EXPECT_EQ(all.Answer("x", "3"), StickyStatus::kQuota);
  EXPECT_EQ(all.table().Sum().over_rate, 1u);
  BoundsFixture each("quota=$arg_who:9 new_rate=1r/m");
  EXPECT_EQ(each.Answer("v", "1"), StickyStatus::kNew);
  EXPECT_EQ(each.Answer("w", "2"), StickyStatus::kNew);
  EXPECT_EQ(each.Answer("w", "3"), StickyStatus::kQuota);
  EXPECT_EQ(each.Answer("", "4"), StickyStatus::kNew) << "an empty key is not bounded";
  EXPECT_EQ(each.Answer("", "5"), StickyStatus::kNew);
}

}  // namespace
}  // namespace limpet::worker
