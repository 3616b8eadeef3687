// What is older than what a zone has, and whether that may have been changed elsewhere, unheard.
#include "worker/store/rules.h"

#include <gtest/gtest.h>

namespace limpet::worker {
namespace {

TEST(UsedBefore, IsNeverTrueWithoutAMoment) {
  EXPECT_FALSE(UsedBefore(0, 0, 1000));
  EXPECT_FALSE(UsedBefore(0, 5000, 1000));
}

TEST(UsedBefore, ComparesTheLastUseWithTheMoment) {
  EXPECT_TRUE(UsedBefore(500, 501, 1000));
  EXPECT_FALSE(UsedBefore(500, 500, 1000));
  EXPECT_FALSE(UsedBefore(500, 0, 1000));
}

// A snapshot brings sessions that have been idle for longer than this machine has been up.
TEST(UsedBefore, IsTrueOfAUseInAnEarlierBoot) {
  EXPECT_TRUE(UsedBefore(500, 1000, 1000));
  EXPECT_TRUE(UsedBefore(500, 3'600'000, 1000));
}

constexpr uint64_t kLost = 1000;  // when the store was lost

TEST(KnownUntil, IsTheLastUseOrWhenTheStoreWasLost) {
  EXPECT_EQ(KnownUntil(900, kLost, true), 900u);
  EXPECT_EQ(KnownUntil(1100, kLost, true), kLost);
}

// What others have done before it began it has not heard.
TEST(KnownUntil, IsTheLastUseOnlyAtAMachineThatBegins) {
  EXPECT_EQ(KnownUntil(900, kLost, false), 900u);
  EXPECT_EQ(KnownUntil(1100, kLost, false), 0u);
}

TEST(IsBefore, ComparesAVersionWithATime) {
  EXPECT_TRUE(IsBefore({899 << 16 | 7, 1}, 900));
  EXPECT_FALSE(IsBefore({900 << 16, 1}, 900));
  EXPECT_FALSE(IsBefore({0, 1}, 0));
}

}  // namespace
}  // namespace limpet::worker
