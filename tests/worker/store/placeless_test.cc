#include "worker/store/placeless.h"

#include <gtest/gtest.h>

namespace limpet::worker {
namespace {

constexpr StoreKey kKey{5, 1};

TEST(Placeless, AreRememberedForASecond) {
  Placeless placeless;
  EXPECT_EQ(placeless.Find(kKey, 1000), shm::kNoPeer);
  placeless.Forget(kKey);
  placeless.Add(kKey, 7, 1000);
  EXPECT_EQ(placeless.Find(kKey, 1999), 7);
  EXPECT_EQ(placeless.Find(kKey, 2000), shm::kNoPeer);
  EXPECT_EQ(placeless.Find({5, 2}, 1000), shm::kNoPeer);
}

TEST(Placeless, AreForgottenWhenTheyChange) {
  Placeless placeless;
  placeless.Add(kKey, 7, 1000);
  placeless.Forget({5, 2});  // another session in its place
  EXPECT_EQ(placeless.Find(kKey, 1000), 7);
  placeless.Forget(kKey);
  EXPECT_EQ(placeless.Find(kKey, 1000), shm::kNoPeer);
}

}  // namespace
}  // namespace limpet::worker
