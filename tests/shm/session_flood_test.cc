// Rotation weighs use: who has used a session for minutes keeps it while others begin many times
// what the zone holds. And who has stopped using it does not keep it for ever.
#include <gtest/gtest.h>

#include "tests/shm/flood.h"
#include "tests/shm/table_fixture.h"

namespace limpet::shm {
namespace {

// 5,000 of 9,000 places are in use; 450,000 sessions come within a minute, each used twice.
TEST(Floods, EvictNobodyWhoHasStayed) {
  FloodGame game({.zone_bytes = 256 << 10});
  const FloodFigures figures = game.Run();
  ASSERT_GT(figures.begun, 400'000u);
  ASSERT_GT(figures.uses, 8'000u);
  EXPECT_EQ(figures.lost, 0u);
  EXPECT_GT(figures.lost_exact, figures.uses / 2);
  EXPECT_EQ(game.t().table.Check(game.t().now), "");
}

TEST(Floods, ThatComeBackOftenWithinSecondsEvictNobodyWhoHasStayed) {
  FloodGame game({.zone_bytes = 256 << 10, .times = 20, .used_again_ms = {200, 900, 3000, 9000}});
  const FloodFigures figures = game.Run();
  EXPECT_EQ(figures.lost, 0u);
  EXPECT_GT(figures.lost_exact, figures.uses / 2);
}

// A sixth of a minute is enough to tell one from the other.
TEST(Floods, FindThoseWhoHaveJustComeToStay) {
  FloodGame game({.zone_bytes = 256 << 10, .regulars = 1000, .pause_most_s = 15, .before_s = 90});
  EXPECT_EQ(game.Run().lost, 0u);
}

// Those who stayed stand where they stood when they began, all at once: nothing has put them where
// they belong before the flood comes.
TEST(Floods, FindTheirOwnKindBehindAllThatStayed) {
  TestTable t(256 << 10, {.timeout = std::chrono::hours(1)});
  const uint16_t peer = t.table.PeerIndex("a");
  const uint64_t regulars = t.table.Capacity() * 9 / 10;
  for (uint64_t n = 0; n < regulars; ++n) {
    t.Learn(n, peer);
    t.Lookup(n);
  }
  for (int i = 0; i < 60; ++i) {
    t.now += 10'000;
    for (uint64_t n = 0; n < regulars; ++n) t.Lookup(n);
  }
  for (uint64_t i = 0; i < t.table.Capacity(); ++i) {
    t.now += i % 8 == 0 ? 1 : 0;
    t.Learn(1'000'000 + i, peer);
    t.Lookup(1'000'000 + i);
  }
  uint64_t kept = 0;
  for (uint64_t n = 0; n < regulars; ++n) kept += t.Hit(n) ? 1 : 0;
  EXPECT_EQ(kept, regulars);
}

class Aging : public testing::Test {
 protected:
  static constexpr uint64_t kMinuteMs = 60'000;

  // All places are sessions that were used for so long, every ten seconds.
  void Fill(uint64_t used_ms) {
    while (t_.table.Sum().rotated == 0) t_.Learn(stayed_++, peer_);
    for (uint64_t passed = 0; passed < used_ms; passed += 10'000) {
      t_.now += 10'000;
      for (uint64_t n = 0; n < stayed_; ++n) t_.Lookup(n);
    }
  }
  // So many begin, one after the other over that time, and each is used twice more.
  void Come(uint64_t count, uint64_t during_ms) {
    const uint64_t begin = t_.now;
    for (uint64_t i = 0; i < count; ++i) {
      t_.now = begin + during_ms * i / count;
      const uint64_t n = kNew + came_++;
      t_.Learn(n, peer_);
      t_.Lookup(n);
      t_.Lookup(n);
    }
    t_.now = begin + during_ms;
  }
  uint64_t Stayed() const {
    uint64_t there = 0;
    for (uint64_t n = 0; n < stayed_; ++n) there += t_.Hit(n) ? 1 : 0;
    return there;
  }
  uint64_t capacity() const { return t_.table.Capacity(); }

  static constexpr uint64_t kNew = 1'000'000;
  TestTable t_{256 << 10, {.timeout = std::chrono::milliseconds(0)}};
  uint16_t peer_ = t_.table.PeerIndex("a");
  uint64_t stayed_ = 0;
  uint64_t came_ = 0;
};

// There is no timeout here: rotation alone ends them.
TEST_F(Aging, NobodyKeepsAPlaceForEver) {
  Fill(10 * kMinuteMs);
  ASSERT_GT(Stayed(), capacity() * 95 / 100);  // shards do not fill alike
  for (int hour = 0; hour < 3; ++hour) Come(capacity(), 60 * kMinuteMs);
  EXPECT_EQ(Stayed(), 0u);
  EXPECT_EQ(t_.table.Check(t_.now), "");
}

TEST_F(Aging, WhoWasThereForAMinuteGoesBeforeWhoWasThereForTen) {
  Fill(10 * kMinuteMs);
  // Every third begins anew and is used for a minute.
  for (uint64_t n = 0; n < stayed_; n += 3) {
    t_.table.Forget(t_.Key(n), t_.now);
    t_.Learn(n, peer_);
  }
  for (int i = 0; i < 6; ++i) {
    t_.now += 10'000;
    for (uint64_t n = 0; n < stayed_; ++n) t_.Lookup(n);
  }
  t_.now += 2 * kMinuteMs;
  Come(capacity() * 6, kMinuteMs);
  uint64_t ten = 0;
  uint64_t one = 0;
  for (uint64_t n = 0; n < stayed_; ++n) (n % 3 == 0 ? one : ten) += t_.Hit(n) ? 1 : 0;
  EXPECT_LT(one, capacity() / 12);  // what their queue may keep
  EXPECT_GT(ten, capacity() * 6 / 10);
}

// While all that are there are in use: new ones begin all the same, and come to stay, in the places
// of those who were used last longest ago.
TEST_F(Aging, NewSessionsBeginInAFullTable) {
  Fill(10 * kMinuteMs);
  constexpr uint64_t kHonest = 200;
  for (uint64_t second = 0; second < 300; ++second) {
    t_.now += 1000;
    for (uint64_t n = second % 100; n < stayed_; n += 100) t_.Lookup(n);
    for (uint64_t i = second % 5; i < kHonest; i += 5) {
      if (t_.Lookup(kNew + i).result != LookupResult::kHit) t_.Learn(kNew + i, peer_);
    }
    Come(1, 0);  // and some who do not
  }
  uint64_t begun = 0;
  for (uint64_t i = 0; i < kHonest; ++i) begun += t_.Hit(kNew + i) ? 1 : 0;
  EXPECT_EQ(begun, kHonest);
}

// What rotation knows of a session moves with it.
TEST(UseSpans, SurviveRepair) {
  TestTable t(64 << 10);
  const uint16_t peer = t.table.PeerIndex("a");
  for (uint64_t n = 0; n < 500; ++n) t.Learn(n, peer);
  for (int i = 0; i < 60; ++i) {
    t.now += 10'000;
    for (uint64_t n = 0; n < 500; ++n) t.Lookup(n);
  }
  t.table.RepairAll(true, t.now);
  ASSERT_EQ(t.table.Check(t.now), "");
  for (const SessionRecord& record : t.table.Export(t.now)) EXPECT_EQ(GradeOf(record.span()), 2u);
  for (uint64_t i = 0; i < t.table.Capacity() * 2; ++i) {
    t.Learn(10'000 + i, peer);
    t.Lookup(10'000 + i);
  }
  for (uint64_t n = 0; n < 500; ++n) EXPECT_TRUE(t.Hit(n)) << n;
}

// Where the time runs from creation, a session that is still asked for stays.
TEST(UseSpans, GrowWithoutRefreshToo) {
  TestTable t(64 << 10, {.timeout = std::chrono::hours(1), .norefresh = true});
  const uint16_t peer = t.table.PeerIndex("a");
  for (uint64_t n = 0; n < 500; ++n) t.Learn(n, peer);
  for (int i = 0; i < 60; ++i) {
    t.now += 10'000;
    for (uint64_t n = 0; n < 500; ++n) t.Lookup(n);
  }
  for (uint64_t i = 0; i < t.table.Capacity() * 2; ++i) {
    t.Learn(10'000 + i, peer);
    t.Lookup(10'000 + i);
  }
  uint64_t there = 0;
  for (uint64_t n = 0; n < 500; ++n) there += t.Hit(n) ? 1 : 0;
  EXPECT_EQ(there, 500u);
  t.now += 51 * 60'000;
  EXPECT_FALSE(t.Hit(0));  // it is over all the same
}

}  // namespace
}  // namespace limpet::shm
