#include "shm/use_span.h"

#include <gtest/gtest.h>

#include <random>

namespace limpet::shm {
namespace {

constexpr uint32_t kFirst = 1u << 28;  // a tick

TEST(UseSpan, KeepsSecondsRoundedDownToAQuarter) {
  for (uint32_t seconds = 0; seconds < 90'000; ++seconds) {
    const uint32_t kept = UseSpan::OfSeconds(seconds).seconds();
    ASSERT_LE(kept, seconds);
    ASSERT_GT(kept * 5 + 5, seconds * 4) << seconds;
    ASSERT_EQ(UseSpan::OfSeconds(kept).seconds(), kept);
  }
  EXPECT_EQ(UseSpan::OfSeconds(UINT32_MAX).code(), UseSpan::kMost);
  EXPECT_EQ(UseSpan(63).code(), UseSpan::kMost);
}

// Whatever the pauses, long or short: the whole is what has passed, near enough.
TEST(UseSpan, AddsUpShortPauses) {
  std::mt19937 random(3);
  for (const uint32_t pause : {1u, 3u, 10u, 47u, 300u, 2000u}) {
    for (int run = 0; run < 200; ++run) {
      const uint32_t begin = kFirst + static_cast<uint32_t>(random() % 100'000);
      UseSpan span;
      uint32_t tick = begin;
      while (tick - begin < 36'000) {  // an hour
        const uint32_t next = tick + 1 + static_cast<uint32_t>(random() % (2 * pause));
        span = span.Used(tick, next);
        tick = next;
      }
      const uint32_t passed = (tick - begin) / UseSpan::kTicksPerSecond;
      ASSERT_GE(span.seconds() * 3, passed * 2) << pause;
      ASSERT_LE(span.seconds(), passed * 2) << pause;
    }
  }
}

TEST(UseSpan, IsASecondAtMostForUsesWithinOne) {
  for (uint32_t begin = kFirst; begin < kFirst + 100'000; begin += 7) {
    UseSpan span;
    for (uint32_t tick = begin; tick < begin + 10; ++tick) span = span.Used(tick, tick + 1);
    ASSERT_LE(span.seconds(), 1u);
    ASSERT_EQ(GradeOf(span), 0u);
  }
}

// By a client that knows the rule, too: one that uses its session on both sides of every full unit.
TEST(UseSpan, IsNeverMoreThanTwiceWhatItWas) {
  UseSpan span;
  const uint32_t begin = (1u << 20) * UseSpan::kTicksPerSecond - 1;
  for (uint32_t tick = begin; tick - begin < 200'000; ++tick) {
    span = span.Used(tick, tick + 1);
    const uint32_t passed = (tick + 1 - begin + 9) / UseSpan::kTicksPerSecond;
    ASSERT_LE(span.seconds(), std::max(2 * passed, 1u)) << tick - begin;
  }
}

TEST(UseSpan, StaysWhenTheClockDoes) {
  const UseSpan span = UseSpan::OfSeconds(100);
  EXPECT_EQ(span.Used(kFirst, kFirst), span);
  EXPECT_EQ(span.Used(kFirst + 5000, kFirst), span);
}

TEST(UseSpan, HasGradesWithMoreAndMoreGrace) {
  EXPECT_EQ(GradeOf(UseSpan::OfSeconds(15)), 0u);
  EXPECT_EQ(GradeOf(UseSpan::OfSeconds(16)), 1u);
  EXPECT_EQ(GradeOf(UseSpan::OfSeconds(255)), 1u);
  EXPECT_EQ(GradeOf(UseSpan::OfSeconds(256)), 2u);
  EXPECT_EQ(GraceTicks(0), 0u);
  EXPECT_EQ(GraceTicks(1), 640u);
  EXPECT_EQ(GraceTicks(2), 10'240u);
}

}  // namespace
}  // namespace limpet::shm
