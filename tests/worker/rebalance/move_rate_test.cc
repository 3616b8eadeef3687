// How many sessions may move, as time passes.
#include <gtest/gtest.h>

#include "worker/rebalance/rebalancer.h"

namespace limpet::worker {
namespace {

// Everything that is allowed moves; the sum of a time.
uint64_t Moved(MoveRate& rate, uint64_t per_second, uint64_t from_ms, uint64_t to_ms,
               uint64_t step_ms) {
  uint64_t sum = 0;
  for (uint64_t now = from_ms; now < to_ms; now += step_ms) {
    const uint64_t allowed = rate.Allow(per_second, now);
    rate.Spend(allowed);
    sum += allowed;
  }
  return sum;
}

TEST(MoveRate, IsHeldHoweverOftenItIsAsked) {
  for (const uint64_t per_second : {1u, 3u, 50u, 1000u, 1'000'000u}) {
    for (const uint64_t step_ms : {1u, 7u, 100u, 199u}) {
      MoveRate rate;
      const uint64_t sum = Moved(rate, per_second, 1'000, 11'000, step_ms);
      EXPECT_LE(sum, per_second * 10) << per_second << " " << step_ms;
      EXPECT_GE(sum, per_second * 10 * 97 / 100 - 1) << per_second << " " << step_ms;
    }
  }
}

TEST(MoveRate, BeginsWithNothingAndSavesNothingUp) {
  MoveRate rate;
  EXPECT_EQ(rate.Allow(50, 1'000), 0u);
  EXPECT_EQ(rate.Allow(50, 1'100), 5u);
  EXPECT_EQ(rate.Allow(50, 1'100), 5u) << "none of them has moved";
  EXPECT_EQ(rate.Allow(50, 600'000), 10u) << "a fifth of a second's";
  EXPECT_EQ(rate.Allow(1, 1'200'000), 1u) << "but one at least";
  rate.Spend(1);
  EXPECT_EQ(rate.Allow(1, 1'200'900), 0u);
  EXPECT_EQ(rate.Allow(1, 1'201'000), 1u);
}

}  // namespace
}  // namespace limpet::worker
