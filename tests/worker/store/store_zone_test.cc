// What a record of the store does to a zone, by how it was heard and how old it is.
#include "worker/store/store_zone.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/shm/table_fixture.h"
#include "worker/net/loop.h"

namespace limpet::worker {
namespace {

using namespace std::chrono_literals;
using Source = StoreZone::Source;

constexpr uint16_t kOther = 9 | shm::StoreVersion::kChange;

class StoreZoneTest : public testing::Test {
 protected:
  explicit StoreZoneTest(bool norefresh = false) {
    conf_.timeout = 60s;
    conf_.norefresh = norefresh;
    t_.table.SetPolicy({.timeout = conf_.timeout, .norefresh = norefresh});
    state_->Init(7);
  }

  static std::string Record(uint64_t age_ms, const char* server) {
    const shm::StoreVersion version{(WallMs() - age_ms) << 16, kOther};
    const auto kind = *server != 0 ? StoreRecord::Kind::kLives : StoreRecord::Kind::kDeleted;
    return Encode(StoreRecord{version, kind, server});
  }
  bool Take(uint64_t age_ms, const char* server, const StoreZone::Heard& heard) {
    return zone_.Take(StoreKey::Of(t_.Key(1)), Record(age_ms, server), heard);
  }
  shm::Found Here() const { return t_.table.Peek(t_.Key(1), BootMs()); }
  std::string Server() const {
    return Here().result == shm::LookupResult::kHit ? t_.table.PeerName(Here().peer) : "";
  }
  void Learn(uint16_t peer, uint64_t idle_ms) {
    t_.table.LearnUsed(t_.Key(1), peer, BootMs() - idle_ms, BootMs());
  }
  uint64_t Idle() const { return static_cast<uint64_t>(Here().idle.count()); }

  static constexpr uint64_t kTimeout = 60'000;

  shm::TestTable t_{1 << 20};
  const uint16_t a_ = t_.table.PeerIndex("a"), b_ = t_.table.PeerIndex("b");
  Loop loop_;
  Log log_;
  conf::SessionStore store_;
  conf::SessionZone conf_;
  std::unique_ptr<shm::StoreState> state_ = std::make_unique<shm::StoreState>();
  shm::AlertRing alerts_;
  StoreZone zone_{{.link = {.loop = loop_, .conf = store_},
                   .zone = conf_,
                   .sessions = t_.table,
                   .state = *state_,
                   .log = log_,
                   .alerts = alerts_}};
};

TEST_F(StoreZoneTest, LearnsNoSessionThatIsOver) {
  EXPECT_FALSE(Take(2 * kTimeout, "a", {.source = Source::kStream}));
  EXPECT_FALSE(Take(kTimeout, "a", {.source = Source::kStream}));
  EXPECT_EQ(t_.table.Live(), 0u);
}

TEST_F(StoreZoneTest, LearnsASessionAsOldAsItsChange) {
  EXPECT_TRUE(Take(kTimeout / 2, "a", {.source = Source::kStream}));
  EXPECT_EQ(Server(), "a");
  EXPECT_NEAR(static_cast<double>(Idle()), kTimeout / 2.0, 2000);
}

TEST_F(StoreZoneTest, TakesWhatAClockAheadHasDatedForNew) {
  EXPECT_TRUE(Take(-uint64_t{3600'000}, "a", {.source = Source::kStream}));
  EXPECT_LT(Idle(), 2000u);
}

TEST_F(StoreZoneTest, ASessionThatIsUsedIsNewWhateverTheAgeOfItsRecord) {
  EXPECT_TRUE(Take(2 * kTimeout, "a", {.source = Source::kAnswer}));
  EXPECT_LT(Idle(), 2000u);
}

// It has been used here since; there, maybe, too.
TEST_F(StoreZoneTest, MovesASessionThatIsHereAndUsesItNot) {
  Learn(a_, 5000);
  EXPECT_TRUE(Take(2 * kTimeout, "b", {.source = Source::kStream}));
  EXPECT_EQ(Server(), "b");
  EXPECT_GE(Idle(), 4900u);
  EXPECT_TRUE(Take(0, "a", {.source = Source::kStream}));
  EXPECT_EQ(Server(), "a");
}

TEST_F(StoreZoneTest, ARepetitionTeachesNothing) {
  EXPECT_FALSE(Take(1000, "a", {.source = Source::kRepeat}));
  EXPECT_EQ(Server(), "");
}

TEST_F(StoreZoneTest, WhatHasLivedHereSinceDoesNotMove) {
  Learn(b_, 1000);
  EXPECT_FALSE(Take(5000, "a", {.source = Source::kRepeat, .known_ms = WallMs() - 1000}));
  EXPECT_FALSE(Take(5000, "a", {.source = Source::kAnswer, .known_ms = WallMs() - 1000}));
  EXPECT_EQ(Server(), "b");
  EXPECT_FALSE(zone_.HasHeardOf(t_.Key(1))) << "it would be offered as that old";
  EXPECT_TRUE(Take(500, "a", {.source = Source::kRepeat, .known_ms = WallMs() - 1000}));
  EXPECT_EQ(Server(), "a");
}

TEST_F(StoreZoneTest, AnEndWinsOverWhatWasUsedSince) {
  Learn(b_, 1000);
  EXPECT_FALSE(Take(5000, "", {.source = Source::kRepeat, .known_ms = WallMs() - 1000}));
  EXPECT_EQ(Server(), "");
}

class NoRefresh : public StoreZoneTest {
 protected:
  NoRefresh() : StoreZoneTest(true) {}
};

TEST_F(NoRefresh, LearnsNoSessionThatIsOver) {
  EXPECT_FALSE(Take(2 * kTimeout, "a", {.source = Source::kStream}));
  EXPECT_EQ(t_.table.Live(), 0u);
}

TEST_F(NoRefresh, ASessionThatHasBegunLaterStays) {
  Learn(a_, 5000);
  EXPECT_FALSE(Take(2 * kTimeout, "b", {.source = Source::kStream}));
  EXPECT_EQ(Server(), "a");
}

TEST_F(NoRefresh, AMoveKeepsTheDeadline) {
  Learn(a_, 20'000);
  EXPECT_TRUE(Take(0, "b", {.source = Source::kStream}));
  EXPECT_EQ(Server(), "b");
  EXPECT_GE(Idle(), 19'900u);
}

TEST_F(StoreZoneTest, OneWhoseServerHasGoneStaysUntilItIsServedElsewhere) {
  Learn(a_, 5000);
  t_.table.RetirePeer(a_);
  EXPECT_FALSE(Take(10'000, "a", {.source = Source::kAnswer})) << "there is no server to go to";
  EXPECT_EQ(Server(), "a");
  EXPECT_FALSE(Take(9000, "", {.source = Source::kStream}));
  EXPECT_EQ(Server(), "");
}

TEST_F(StoreZoneTest, OneThatOnlyAnEarlierKeyKnowsAtAServerThatHasGoneIsNoNews) {
  const shm::SessionKey key = t_.Key(1);
  t_.table.RetirePeer(a_);
  Take(10'000, "a", {.source = Source::kAnswer, .of_former = true});
  EXPECT_FALSE(zone_.HasHeardOf(key));
  Take(9000, "", {.source = Source::kAnswer, .of_former = true});
  EXPECT_TRUE(zone_.HasHeardOf(key)) << "it has ended";
}

}  // namespace
}  // namespace limpet::worker
