#include "worker/sticky/first_requests.h"

#include <gtest/gtest.h>

namespace limpet::worker {
namespace {

using std::chrono::milliseconds;

class FirstRequestsTest : public testing::Test {
 protected:
  FirstRequests first_{milliseconds(200)};
  Peer one_, two_;
  FirstRequests::Member a_, b_;
};

TEST_F(FirstRequestsTest, OthersFollowTheFirstOfTheirConnection) {
  EXPECT_EQ(first_.Find(7, 1000), nullptr);
  first_.Join(a_, 7, one_, 1000);
  EXPECT_EQ(first_.Find(7, 1200), &one_);
  EXPECT_EQ(first_.Find(8, 1000), nullptr);
}

TEST_F(FirstRequestsTest, UntilAllHaveBeenAnswered) {
  first_.Join(a_, 7, one_, 1000);
  first_.Join(b_, 7, one_, 1050);
  a_.Leave();
  EXPECT_EQ(first_.Find(7, 1100), &one_);
  b_.Leave();
  EXPECT_EQ(first_.Find(7, 1100), nullptr);
}

TEST_F(FirstRequestsTest, NoLongerThanTheFirstOneMayWait) {
  first_.Join(a_, 7, one_, 1000);
  first_.Join(b_, 7, one_, 1150);
  EXPECT_EQ(first_.Find(7, 1201), nullptr);
  FirstRequests::Member c;
  first_.Join(c, 7, two_, 1201);
  EXPECT_EQ(first_.Find(7, 1300), &two_);
  a_.Leave();  // of the round before
  b_.Leave();
  EXPECT_EQ(first_.Find(7, 1300), &two_);
}

TEST_F(FirstRequestsTest, OneThatCouldNotFollowLeadsNobody) {
  first_.Join(a_, 7, one_, 1000);
  first_.Join(b_, 7, two_, 1010);
  EXPECT_FALSE(b_.joined());
  EXPECT_EQ(first_.Find(7, 1020), &one_);
}

TEST_F(FirstRequestsTest, ForgetsPeersThatAreNoMore) {
  first_.Join(a_, 7, one_, 1000);
  first_.Forget();
  EXPECT_EQ(first_.Find(7, 1010), nullptr);
  a_.Leave();
}

TEST_F(FirstRequestsTest, DoesNothingWhileItIsOff) {
  FirstRequests off(milliseconds(0));
  off.Join(a_, 7, one_, 1000);
  EXPECT_FALSE(a_.joined());
  EXPECT_EQ(off.Find(7, 1000), nullptr);
}

}  // namespace
}  // namespace limpet::worker
