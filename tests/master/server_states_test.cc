#include "master/server_states.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/clock.h"

namespace limpet::master {
namespace {

TEST(ServerStates, ComeBackAsTheyWereWritten) {
  const ServerStates states = {
      {.upstream = "app", .address = "10.0.0.1:80", .flags = shm::kPeerDown},
      {.upstream = "app",
       .name = "app.local  80",
       .address = "10.0.0.2:80 ",
       .flags = shm::kPeerDraining | shm::kPeerDrained}};
  EXPECT_EQ(ParseServerStates(WriteServerStates(states)), states);
  EXPECT_EQ(ParseServerStates(WriteServerStates({})), ServerStates{});
}

// The wall clock stands in the file, so that a deadline means the same after a reboot.
TEST(ServerStates, ADeadlineStaysWhereItWas) {
  const uint64_t now = MonotonicMs();
  const uint64_t until = now + 600'000;
  const auto back = ParseServerStates(WriteServerStates(
      {{.upstream = "app", .address = "a", .flags = shm::kPeerDraining, .until_ms = until}}));
  ASSERT_EQ(back.size(), 1u);
  EXPECT_NEAR(static_cast<double>(back[0].until_ms), static_cast<double>(until), 1000);
}

TEST(ServerStates, ADeadlineThatIsOverStaysOver) {
  const auto states = ParseServerStates("limpet servers 1\napp\t\ta\tdraining\t1000\n");
  ASSERT_EQ(states.size(), 1u);
  EXPECT_GT(states[0].until_ms, 0u) << "0 would be a drain without end";
  EXPECT_LT(states[0].until_ms, MonotonicMs());
}

TEST(ServerStates, ADeadlineBeyondAllTimesIsFarAway) {
  for (const char* until : {"9223372036854775808", "18446744073709551615"}) {
    const auto states =
        ParseServerStates(std::string("limpet servers 1\napp\t\ta\tdraining\t") + until + "\n");
    ASSERT_EQ(states.size(), 1u);
    EXPECT_GT(states[0].until_ms, MonotonicMs());
    EXPECT_LT(states[0].until_ms, uint64_t{1} << 63);
  }
}

TEST(ServerStates, WhatIsNotUnderstoodIsPassedOver) {
  EXPECT_TRUE(ParseServerStates("").empty());
  EXPECT_TRUE(ParseServerStates("limpet servers 9\napp\t\ta\tdown\t0\n").empty());
  const auto states = ParseServerStates(
      "limpet servers 1\nnonsense\napp\t\ta\tdown,new\t0\tmore\napp\t\tb\tdown\tx\n");
  ASSERT_EQ(states.size(), 1u);
  EXPECT_EQ(states[0].flags, uint32_t{shm::kPeerDown});
}

}  // namespace
}  // namespace limpet::master
