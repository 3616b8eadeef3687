// Passive health: max_fails, fail_timeout, and coming back.
#include <gtest/gtest.h>

#include <algorithm>

#include "shm/peer_state_registry.h"
#include "tests/worker/upstream/group_fixture.h"
#include "worker/upstream/downtime.h"

namespace limpet::worker {
namespace {

TEST(Health, APeerIsOutForFailTimeoutAfterMaxFails) {
  auto twice = Server(8081);
  twice.max_fails = 2;
  Fixture f(Servers({twice, Server(8082)}));
  f.Fail(0);
  EXPECT_NE(f.Sequence(4).find('1'), std::string::npos);  // one failure is not enough
  f.Fail(0);
  EXPECT_EQ(f.Sequence(4), "2222");
  f.now += 10'000;
  EXPECT_EQ(f.Sequence(2), "22");
  f.now += 1;
  EXPECT_NE(f.Sequence(4).find('1'), std::string::npos);
}

TEST(Health, APeerIsAwayUntilARequestHasSucceeded) {
  auto twice = Server(8081);
  twice.max_fails = 2;
  Fixture f(Servers({twice, Server(8082)}));
  const Peer& peer = f.group.peers()[0];
  f.Fail(0);
  EXPECT_FALSE(IsAway(peer));
  f.Fail(0);
  const uint64_t since = f.now;
  f.now += 25'000;
  EXPECT_TRUE(IsAway(peer)) << "fail_timeout alone brings nobody back";
  EXPECT_EQ(AwaySinceMs(peer), since);
  EXPECT_EQ(DowntimeMs(peer, f.now), 25'000u);
  f.Fail(0);
  EXPECT_EQ(AwaySinceMs(peer), since) << "a chance in vain";
  f.now += 10'001;
  f.Sequence(4);
  EXPECT_FALSE(IsAway(peer));
  f.now += 1000;
  EXPECT_EQ(DowntimeMs(peer, f.now), 35'001u);
  f.Fail(0);
  f.Fail(0);
  f.now += 5;
  EXPECT_EQ(DowntimeMs(peer, f.now), 35'006u);
}

TEST(Health, GivesOneChancePerFailTimeoutUntilItSucceeds) {
  Fixture f(Servers({Server(8081), Server(8082)}));
  f.Fail(0);
  f.now += 10'001;
  PeerSelection chance;
  f.group.Begin(chance);
  while (f.group.Choose(chance, nullptr, f.now)->index != 0) {
    f.group.Done(chance, Outcome::kOk, f.now);
    f.group.Begin(chance);
  }
  EXPECT_EQ(f.Sequence(5), "22222");  // the chance is being tried: others stay away
  f.group.Done(chance, Outcome::kOk, f.now);
  EXPECT_NE(f.Sequence(4).find('1'), std::string::npos);
}

TEST(Health, AnAnswerThatHasBegunEndsTheChance) {
  Fixture f(Servers({Server(8081), Server(8082)}));
  f.Fail(0);
  f.now += 10'001;
  PeerSelection chance;
  f.group.Begin(chance);
  ASSERT_NE(f.group.TryPeer(chance, &f.group.peers()[0], f.now), nullptr);
  EXPECT_EQ(f.Sequence(3), "222");
  f.group.Answered(chance, f.now);  // its body may take long
  EXPECT_NE(f.Sequence(4).find('1'), std::string::npos);
  f.group.Done(chance, Outcome::kOk, f.now);
}

TEST(Health, AnAnswerToAnOlderRequestForgivesNothing) {
  Fixture f(Servers({Server(8081), Server(8082)}));
  PeerSelection old;
  f.group.Begin(old);
  ASSERT_EQ(f.group.TryPeer(old, &f.group.peers()[0], f.now), &f.group.peers()[0]);
  f.now += 5;
  f.Fail(0);
  f.now += 5;
  f.group.Done(old, Outcome::kOk, f.now);
  EXPECT_EQ(f.Sequence(4), "2222");
}

TEST(Health, ZeroMaxFailsNeverGivesUp) {
  auto never = Server(8081);
  never.max_fails = 0;
  Fixture f(Servers({never, Server(8082)}));
  for (int i = 0; i < 10; ++i) f.Fail(0);
  const std::string ids = f.Sequence(4);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), '1'), 2);
}

TEST(Health, TheOnlyPeerIsNeverGivenUp) {
  Fixture f(Servers({Server(8081)}));
  const Peer& only = f.group.peers()[0];
  f.Fail(0);
  EXPECT_TRUE(IsAway(only)) << "that it fails is told";
  EXPECT_EQ(only.state->unavailable, 1u);
  EXPECT_EQ(f.Sequence(3), "111");
  EXPECT_FALSE(IsAway(only));
}

TEST(Health, AFailedPeerComesBackByAndBy) {
  auto heavy = Server(8081, 10);
  heavy.max_fails = 2;
  Fixture f(Servers({heavy, Server(8082, 10)}));
  f.Fail(0);
  EXPECT_EQ(f.group.peers()[0].state->effective_weight, 5);
  f.Sequence(5);
  EXPECT_EQ(f.group.peers()[0].state->effective_weight, 10);
}

TEST(Health, SaysWhenAPeerIsOut) {
  auto twice = Server(8081);
  twice.max_fails = 2;
  Fixture f(Servers({twice, Server(8082)}));
  for (const bool out : {false, true}) {
    PeerSelection selection;
    f.group.Begin(selection);
    ASSERT_NE(f.group.TryPeer(selection, &f.group.peers()[0], f.now), nullptr);
    EXPECT_EQ(f.group.Done(selection, Outcome::kFailed, f.now), out);
  }
  EXPECT_EQ(f.group.peers()[0].state->unavailable, 1u);
}

void AwaitFirst(Fixture& f) {  // it gets a request, and its slow start begins
  int requests = 0;
  while (f.Request() != 1) ASSERT_LT(++requests, 1000);
}

TEST(Health, ARecoveredPeerStartsSlowly) {
  auto slow = Server(8081);
  slow.slow_start = 10s;
  Fixture f(Servers({slow, Server(8082)}));
  f.Fail(0);
  f.now += 10'001;
  ASSERT_NO_FATAL_FAILURE(AwaitFirst(f));
  const auto share = [&f] {
    const std::string ids = f.Sequence(200);
    return std::count(ids.begin(), ids.end(), '1');
  };
  f.now += 1000;  // a tenth of the way: 0.1 / 1.1 of the requests
  EXPECT_NEAR(static_cast<double>(share()), 18, 3);
  f.now += 4000;
  EXPECT_NEAR(static_cast<double>(share()), 67, 3);
  f.now += 6000;
  EXPECT_NEAR(static_cast<double>(share()), 100, 1);
}

struct BoundSessions final : SessionCounts {
  uint64_t BoundTo(const Peer& peer) const override { return bound[peer.index]; }
  uint64_t bound[2] = {0, 1000};
};

TEST(Health, ARecoveredPeerGetsSessionsSlowly) {
  auto slow = Server(8081);
  slow.slow_start = 10s;
  BoundSessions sessions;
  Fixture f(Servers({slow, Server(8082)}, conf::BalanceMethod::kLeastSessions));
  f.group.set_session_counts(&sessions);
  f.Fail(0);
  f.now += 10'001;
  ASSERT_EQ(f.Request(), 1);
  const auto begin = [&](int n) {
    for (int i = 0; i < n; ++i) ++sessions.bound[f.Request() == 1 ? 0 : 1];
    return static_cast<double>(sessions.bound[0]);
  };
  f.now += 1000;  // a tenth of the way: a tenth of what the other has
  EXPECT_NEAR(begin(500), 136, 3);
  EXPECT_NEAR(begin(110), 146, 3);
  f.now += 4000;
  EXPECT_NEAR(begin(1000), 870, 3);
  f.now += 6000;
  EXPECT_EQ(begin(100), 970);
}

TEST(Health, ARecoveredPeerGetsConnectionsSlowly) {
  auto slow = Server(8081);
  slow.slow_start = 10s;
  Fixture f(Servers({slow, Server(8082)}, conf::BalanceMethod::kLeastConn));
  f.Fail(0);
  f.now += 10'001;
  ASSERT_NO_FATAL_FAILURE(AwaitFirst(f));
  f.now += 1000;
  int open[3] = {};
  for (int i = 0; i < 110; ++i) {
    PeerSelection held;
    f.group.Begin(held);
    ++open[f.group.Choose(held, nullptr, f.now)->address.port() % 10];
  }
  EXPECT_NEAR(open[1], 10, 1);
}

// Two workers share the peers; the loop of one is a millisecond behind.
TEST(Health, AWorkerThatIsBehindDoesNotEndASlowStart) {
  auto slow = Server(8081);
  slow.slow_start = 10s;
  const conf::Upstream upstream = Servers({slow, Server(8082)});
  shm::PeerStateRegistry registry;
  const auto states = registry.Attach("app", UpstreamGroup::PeerIdentities(upstream));
  Fixture ahead(upstream, states.get());
  Fixture behind(upstream, states.get(), 1);
  ahead.Fail(0);
  ahead.now += 10'001;
  while (ahead.Request() != 1) {
  }
  behind.now = ahead.now - 1;
  EXPECT_EQ((*states)[0].standing().started_ms, ahead.now);
  behind.Sequence(4);
  EXPECT_EQ((*states)[0].standing().started_ms, ahead.now);
}

TEST(Health, AWorkerThatIsBehindDoesNotAskAFailedPeer) {
  const conf::Upstream upstream = Servers({Server(8081), Server(8082)});
  shm::PeerStateRegistry registry;
  const auto states = registry.Attach("app", UpstreamGroup::PeerIdentities(upstream));
  Fixture ahead(upstream, states.get());
  Fixture behind(upstream, states.get(), 1);
  behind.now = ahead.now - 1;
  ahead.Fail(0);
  EXPECT_EQ(behind.Sequence(4), "2222");
}

TEST(Group, IdentitiesDifferAndServerIdsAreNginxs) {
  auto routed = Server(8082);
  routed.route = "b";
  Fixture f(Servers({Server(8081), routed, Server(8081)}));
  const auto identities = UpstreamGroup::PeerIdentities(f.conf);
  EXPECT_EQ(identities,
            (std::vector<std::string>{"127.0.0.1:8081", "127.0.0.1:8082", "127.0.0.1:8081#1"}));
  // printf 127.0.0.1:8081 | md5sum
  Peer* peer = f.group.FindByServerId("df2b80dc43705d28db9be6f29fe58da3");
  ASSERT_NE(peer, nullptr);
  EXPECT_EQ(peer->index, 0);
  EXPECT_EQ(f.group.FindByServerId("b"), &f.group.peers()[1]);
  EXPECT_EQ(f.group.FindByServerId("c"), nullptr);
  EXPECT_EQ(f.group.peers()[2].address_id, 0);
}

}  // namespace
}  // namespace limpet::worker
