#include "master/watchdog.h"

#include <gtest/gtest.h>

namespace limpet::master {
namespace {

class WatchdogTest : public ::testing::Test {
 protected:
  // A look after so many milliseconds; the worker's last beat was `beat`.
  std::vector<Watchdog::Verdict> Look(uint64_t after_ms, uint64_t beat) {
    now_ms_ += after_ms;
    const Watchdog::Seen worker{.pid = 7, .beat_ms = beat};
    return dog_.Check({&worker, 1}, 3000, now_ms_);
  }

  Watchdog dog_;
  uint64_t now_ms_ = 1'000'000;
};

TEST_F(WatchdogTest, WhoBeatsIsLeftAlone) {
  for (uint64_t beat = 1; beat < 20; ++beat) EXPECT_TRUE(Look(1000, beat).empty());
}

TEST_F(WatchdogTest, WhoStandsStillIsAbortedOnceAndThenKilled) {
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(Look(1000, 5).empty()) << i;
  const auto first = Look(1000, 5);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].order, Watchdog::Order::kAbort);
  EXPECT_EQ(first[0].still_ms, 4000u);
  for (int i = 0; i < 4; ++i)
    EXPECT_TRUE(Look(1000, 5).empty()) << "it may be writing its core file";
  const auto second = Look(1000, 5);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].order, Watchdog::Order::kKill);
}

TEST_F(WatchdogTest, WhoNeverBeginsIsEndedToo) {
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(Look(1000, 0).empty()) << i;
  EXPECT_EQ(Look(1000, 0).size(), 1u);
}

TEST_F(WatchdogTest, AStandstillThatWasOursTooDoesNotCount) {
  Look(1000, 5);
  EXPECT_TRUE(Look(3'600'000, 5).empty()) << "the machine slept, the workers' clock went on";
  EXPECT_TRUE(Look(1000, 6).empty());
}

TEST_F(WatchdogTest, ABeatForgivesEverything) {
  for (int i = 0; i < 4; ++i) Look(1000, 5);
  EXPECT_TRUE(Look(1000, 6).empty());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Look(1000, 6).empty());
}

TEST_F(WatchdogTest, ANewWorkerWithTheSamePidBeginsAnew) {
  for (int i = 0; i < 4; ++i) Look(1000, 5);
  now_ms_ += 1000;
  EXPECT_TRUE(dog_.Check({}, 3000, now_ms_).empty());
  EXPECT_TRUE(Look(1000, 5).empty());
}

// Two workers, of which the first waits for a lock that the second keeps.
class WatchdogOfTwoTest : public ::testing::Test {
 protected:
  // Of a look a second later, the pids that it ends.
  std::vector<pid_t> Look(uint64_t beat_of_waiter, uint64_t beat_of_holder) {
    const Watchdog::Seen workers[] = {{.pid = 7, .beat_ms = beat_of_waiter, .waits = true},
                                      {.pid = 8, .beat_ms = beat_of_holder, .waits = both_wait_}};
    std::vector<pid_t> ended;
    for (const auto& verdict : dog_.Check(workers, 3000, now_ms_ += 1000)) {
      ended.push_back(verdict.pid);
    }
    return ended;
  }

  Watchdog dog_;
  uint64_t now_ms_ = 1'000'000;
  bool both_wait_ = false;
};

TEST_F(WatchdogOfTwoTest, WhoKeepsTheLockIsEndedAndWhoWaitsGoesOn) {
  Look(5, 1);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(Look(5, 2).empty()) << i << ": the holder beat later";
  EXPECT_EQ(Look(5, 2), std::vector<pid_t>{8});
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(Look(5, 2).empty()) << i << ": it writes a core file";
  EXPECT_EQ(Look(5, 2), std::vector<pid_t>{8}) << "it is killed";
  for (int i = 0; i < 20; ++i) EXPECT_NE(Look(5, 2), std::vector<pid_t>{7}) << i;
}

TEST_F(WatchdogOfTwoTest, TwoThatWaitForEachOtherAreEndedLater) {
  both_wait_ = true;
  for (int i = 0; i < 9; ++i) EXPECT_TRUE(Look(5, 5).empty()) << i;
  EXPECT_EQ(Look(5, 5), (std::vector<pid_t>{7, 8}));
}

TEST(Watchdog, WithoutALimitNobodyIsJudged) {
  Watchdog dog;
  const Watchdog::Seen worker{.pid = 7, .beat_ms = 5};
  for (uint64_t now = 1000; now < 100'000; now += 1000) {
    EXPECT_TRUE(dog.Check({&worker, 1}, 0, now).empty());
  }
}

}  // namespace
}  // namespace limpet::master
