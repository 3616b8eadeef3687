#include "worker/http/proxy/proxy_states.h"

#include <gtest/gtest.h>

namespace limpet::worker {
namespace {

using S = ProxyState;

constexpr S kAll[] = {S::kIdle,    S::kFinding,    S::kResolving, S::kReadingBody,
                      S::kAsking,  S::kChoosing,   S::kQueued,    S::kConnecting,
                      S::kTalking, S::kConfirming, S::kTunnel,    S::kLingering};
static_assert(std::size(kAll) == kProxyRows.size());

TEST(ProxyStates, CanAllBeReachedAndLeft) {
  for (const S state : kAll) {
    EXPECT_NE(RowOf(state).follows, 0) << RowOf(state).name;
    EXPECT_FALSE(RowOf(state).name.empty());
    EXPECT_EQ(CanFollow(state, S::kIdle), state != S::kIdle) << RowOf(state).name;
  }
}

TEST(ProxyStates, BecomeATunnelOnlyByTalking) {
  for (const S state : kAll) EXPECT_EQ(CanFollow(state, S::kTunnel), state == S::kTalking);
}

TEST(ProxyStates, ReadThePeerOnlyWhereThereIsOne) {
  for (const S state : kAll) {
    const bool has_peer = state == S::kTalking || state == S::kTunnel;
    EXPECT_EQ(RowOf(state).reads_peer(), has_peer) << RowOf(state).name;
    EXPECT_EQ(RowOf(state).clock == ProxyClock::kTraffic, has_peer) << RowOf(state).name;
  }
}

TEST(ProxyStates, EndTheWaitForAStoreWhenTheyAreLeft) {
  for (const S state : kAll) {
    const bool waits = state == S::kAsking || state == S::kConfirming;
    EXPECT_EQ(RowOf(state).ends == ProxyEnds::kWait, waits) << RowOf(state).name;
  }
}

TEST(ProxyStates, WaitForNothingWithoutADeadline) {
  for (const S state : {S::kResolving, S::kQueued, S::kConnecting, S::kLingering})
    EXPECT_NE(RowOf(state).clock, ProxyClock::kNone) << RowOf(state).name;
}

TEST(Halves, GoOnlyForwards) {
  EXPECT_TRUE(CanFollow(Half::kHead, Half::kBody));
  EXPECT_TRUE(CanFollow(Half::kHead, Half::kDone));
  EXPECT_FALSE(CanFollow(Half::kBody, Half::kBody));
  EXPECT_FALSE(CanFollow(Half::kDone, Half::kBody));
  EXPECT_TRUE(CanFollow(Half::kDone, Half::kHead)) << "a new attempt";
}

TEST(TrafficClock, RunsForWhoeverIsAwaited) {
  using C = ProxyClock;
  EXPECT_EQ(TrafficClock({}), C::kRead);
  EXPECT_EQ(TrafficClock({.sending = true}), C::kSend);
  EXPECT_EQ(TrafficClock({.awaits_client = true}), C::kNone) << "its own deadline runs";
  EXPECT_EQ(TrafficClock({.sending = true, .awaits_client = true}), C::kSend);
  EXPECT_EQ(TrafficClock({.paused = true, .sending = true}), C::kNone);
}

}  // namespace
}  // namespace limpet::worker
