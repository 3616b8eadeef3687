// Whether a session may have been changed elsewhere, unheard.
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

}  // namespace
}  // namespace limpet::worker
