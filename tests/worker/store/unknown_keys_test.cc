#include "worker/store/unknown_keys.h"

#include <gtest/gtest.h>

namespace limpet::worker {
namespace {

constexpr StoreKey kKey{5, 1};

TEST(UnknownKeys, RemembersForASecond) {
  UnknownKeys unknown;
  EXPECT_FALSE(unknown.Has(kKey, 1000));
  unknown.Add(kKey, 1000);
  EXPECT_TRUE(unknown.Has(kKey, 1000));
  EXPECT_TRUE(unknown.Has(kKey, 1999));
  EXPECT_FALSE(unknown.Has(kKey, 2000));
  EXPECT_FALSE(unknown.Has({5, 2}, 1000));
  EXPECT_FALSE(unknown.Has({0, 0}, 0));  // nothing is in it
}

TEST(UnknownKeys, ForgetsWhatHasBeenMade) {
  UnknownKeys unknown;
  unknown.Add(kKey, 1000);
  unknown.Forget({5, 2});  // another session in its place
  EXPECT_TRUE(unknown.Has(kKey, 1000));
  unknown.Forget(kKey);
  EXPECT_FALSE(unknown.Has(kKey, 1000));
}

TEST(UnknownKeys, OfTwoThatMeetTheLaterOneStays) {
  UnknownKeys unknown;
  unknown.Add(kKey, 1000);
  unknown.Add({5, 2}, 1100);
  EXPECT_FALSE(unknown.Has(kKey, 1100));
  EXPECT_TRUE(unknown.Has({5, 2}, 1100));
}

TEST(UnknownKeys, RemembersManyAtOnce) {
  UnknownKeys unknown;
  for (uint64_t tag = 1; tag <= 1000; ++tag) unknown.Add({tag, 0}, 1000);
  for (uint64_t tag = 1; tag <= 1000; ++tag) EXPECT_TRUE(unknown.Has({tag, 0}, 1500));
}

}  // namespace
}  // namespace limpet::worker
