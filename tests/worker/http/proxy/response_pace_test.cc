#include "worker/http/proxy/response_pace.h"

#include <gtest/gtest.h>

#include "worker/http/filter/limit_rate.h"

namespace limpet::worker {
namespace {

class ResponsePaceTest : public testing::Test {
 protected:
  void LookAgain() { ++looks_; }
  void PatienceOver() {
    ++patience_over_;
    pace_.OnPatienceOver(blocked_);
  }
  void Look(bool full, bool blocked, uint64_t received = 0) {
    blocked_ = blocked;
    pace_.Look({.full = full, .blocked = blocked}, received);
  }
  void WaitForPatience() {
    while (patience_over_ == 0) loop_.RunOnce();
  }

  Loop loop_;
  TimerGroup timers_;
  ResponsePace pace_{loop_, timers_, Callback::To<&ResponsePaceTest::LookAgain>(this),
                     Callback::To<&ResponsePaceTest::PatienceOver>(this)};
  bool blocked_ = false;
  int looks_ = 0;
  int patience_over_ = 0;
};

TEST_F(ResponsePaceTest, ReadsForAClientThatKeepsUp) {
  pace_.Begin(0);
  Look(false, false);
  EXPECT_FALSE(pace_.paused());
  EXPECT_FALSE(timers_.armed());
  EXPECT_EQ(pace_.Budget(1'000'000), UINT64_MAX);
}

TEST(RateAllowance, OfAnyRateIsNoSmallerThanThatOfASmallerOne) {
  EXPECT_EQ(RateAllowance(10, 5, 2999, 0), 35u);
  EXPECT_EQ(RateAllowance(10, 5, 999, 20), 0u);
  for (const uint64_t rate : {UINT64_MAX, UINT64_MAX - 1, UINT64_MAX / 2 + 1, uint64_t{1} << 63}) {
    for (const uint64_t elapsed_ms : {0u, 999u, 1000u, 2000u, 1'000'000u}) {
      EXPECT_GT(RateAllowance(rate, UINT64_MAX, elapsed_ms, 1 << 20), 1u << 30)
          << rate << " " << elapsed_ms;
      EXPECT_GT(RateAllowance(rate, 0, elapsed_ms, 1 << 20), 1u << 30) << rate << " " << elapsed_ms;
    }
  }
}

TEST_F(ResponsePaceTest, PausesWhenAsMuchWaitsAsMay) {
  pace_.Begin(0);
  Look(true, false);
  EXPECT_TRUE(pace_.paused());
  Look(false, false);
  EXPECT_FALSE(pace_.paused());
}

TEST_F(ResponsePaceTest, WaitsForAClientOnlyForAMoment) {
  pace_.Begin(0);
  Look(false, true);
  EXPECT_TRUE(pace_.paused());
  WaitForPatience();
  EXPECT_TRUE(pace_.client_is_slow());
  Look(false, true);
  EXPECT_FALSE(pace_.paused()) << "its bytes go to a file now";
  EXPECT_FALSE(timers_.armed());
  pace_.OnClientDrained();
  EXPECT_FALSE(pace_.client_is_slow());
}

TEST_F(ResponsePaceTest, ForgetsItsPatienceWhenTheClientTakesAll) {
  pace_.Begin(0);
  Look(false, true);
  pace_.OnClientDrained();
  EXPECT_FALSE(timers_.armed());
  Look(false, false);
  EXPECT_FALSE(pace_.paused());
}

TEST_F(ResponsePaceTest, KeepsToTheRate) {
  pace_.Begin(1000);
  EXPECT_TRUE(pace_.limited());
  EXPECT_EQ(pace_.Budget(0), 1000u);
  Look(false, false, 1000);
  EXPECT_TRUE(pace_.paused());
  while (looks_ == 0) loop_.RunOnce();
  EXPECT_EQ(patience_over_, 0);
}

TEST_F(ResponsePaceTest, LeavesNothingBehind) {
  pace_.Begin(1000);
  Look(true, true, 1000);
  pace_.End();
  EXPECT_FALSE(timers_.armed());
  EXPECT_FALSE(pace_.paused());
  EXPECT_FALSE(pace_.limited()) << "the next response may have no limit";
}

}  // namespace
}  // namespace limpet::worker
