#include "worker/upstream/balancer.h"

#include <gtest/gtest.h>

#include <climits>
#include <cstdlib>

#include "tests/worker/upstream/group_fixture.h"

namespace limpet::worker {
namespace {

using Method = conf::BalanceMethod;

TEST(RoundRobin, IsSmooth) {
  Fixture f(Servers({Server(8081, 5), Server(8082, 1), Server(8083, 1)}));
  EXPECT_EQ(f.Sequence(14), "11213111121311");
}

TEST(RoundRobin, SharesByWeightOver10000Requests) {
  Fixture f(Servers({Server(8081, 5), Server(8082, 3), Server(8083, 2)}));
  std::map<int, int> hits;
  for (int i = 0; i < 10'000; ++i) ++hits[f.Request()];
  EXPECT_EQ(hits[1], 5000);
  EXPECT_EQ(hits[2], 3000);
  EXPECT_EQ(hits[3], 2000);
}

TEST(RoundRobin, TakesTurnsAtTheLargestWeights) {
  Fixture f(Servers({Server(8081, INT_MAX), Server(8082, INT_MAX), Server(8083, INT_MAX)}));
  EXPECT_EQ(f.Sequence(6), "123123");
}

TEST(RoundRobin, SkipsDownAndDrainingServers) {
  auto down = Server(8082);
  down.down = true;
  auto drain = Server(8083);
  drain.drain = true;
  Fixture f(Servers({Server(8081), down, drain, Server(8084)}));
  EXPECT_EQ(f.Sequence(4), "1414");
}

TEST(RoundRobin, CountsABoundRequestAsItsTurn) {
  Fixture f(Servers({Server(8081), Server(8082)}));
  Peer* first = &f.group.peers()[0];
  EXPECT_EQ(f.Request({}, first), 1);
  EXPECT_EQ(f.Request(), 2);  // the unbound one goes elsewhere
  EXPECT_EQ(f.Request({}, first), 1);
  EXPECT_EQ(f.Request({}, first), 1);
  EXPECT_EQ(f.Request({}, first), 1);
  EXPECT_EQ(f.Request(), 2);  // but only one bound request in a row is counted
  EXPECT_EQ(f.Request(), 1);
}

TEST(RoundRobin, ADrainingServerKeepsItsSessions) {
  auto drain = Server(8082);
  drain.drain = true;
  Fixture f(Servers({Server(8081), drain}));
  EXPECT_EQ(f.Request({}, &f.group.peers()[1]), 2);
  EXPECT_EQ(f.Sequence(3), "111");
}

TEST(RoundRobin, TriesEveryPeerOnceAndThenNone) {
  Fixture f(Servers({Server(8081), Server(8082), Server(8083)}));
  PeerSelection selection;
  f.group.Begin(selection);
  EXPECT_EQ(selection.tries, 3);
  for (int i = 0; i < 3; ++i) {
    ASSERT_NE(f.group.Choose(selection, nullptr, f.now), nullptr) << i;
    f.group.Done(selection, Outcome::kNext, f.now);
  }
  EXPECT_EQ(selection.tries, 0);
  EXPECT_EQ(f.group.Choose(selection, nullptr, f.now), nullptr);
}

TEST(RoundRobin, RespectsMaxConns) {
  auto one = Server(8081);
  one.max_conns = 1;
  Fixture f(Servers({one, Server(8082)}));
  PeerSelection held;
  f.group.Begin(held);
  ASSERT_EQ(f.group.Choose(held, nullptr, f.now)->address.port(), 8081);
  EXPECT_EQ(f.Sequence(3), "222");
  EXPECT_EQ(f.Request({}, &f.group.peers()[0]), 2);  // a bound request does not overfill either
  f.group.Done(held, Outcome::kOk, f.now);
  EXPECT_NE(f.Sequence(2).find('1'), std::string::npos);
}

TEST(RoundRobin, WorksBeyondTheInlineBitmap) {
  std::vector<conf::UpstreamServer> servers;
  for (int i = 0; i < 300; ++i) servers.push_back(Server(10'000 + i));
  Fixture f(Servers(servers));
  PeerSelection selection;
  f.group.Begin(selection);
  std::map<int, int> seen;
  while (Peer* peer = f.group.Choose(selection, nullptr, f.now)) {
    ++seen[peer->index];
    f.group.Done(selection, Outcome::kNext, f.now);
  }
  EXPECT_EQ(seen.size(), 300u);
}

TEST(Backup, IsUsedWhenNoPrimaryIsLeftAndLeftWhenOneIsBack) {
  auto backup = Server(8083);
  backup.backup = true;
  Fixture f(Servers({backup, Server(8081), Server(8082)}));
  EXPECT_EQ(f.Sequence(2), "12");
  f.Fail(0);
  f.Fail(1);
  EXPECT_EQ(f.Sequence(3), "333");
  f.now += 10'001;
  Peer* bound_to_backup = f.group.FindByServerId(f.group.peers()[2].server_id);
  ASSERT_TRUE(bound_to_backup->backup);
  EXPECT_NE(f.Request({}, bound_to_backup), 3);  // as in nginx: sessions return to the primaries
}

TEST(LeastConn, TakesTheFewestConnectionsPerWeight) {
  Fixture f(Servers({Server(8081, 1), Server(8082, 2)}, Method::kLeastConn));
  std::vector<PeerSelection> held(6);
  std::map<int, int> hits;
  for (PeerSelection& selection : held) {
    f.group.Begin(selection);
    ++hits[f.group.Choose(selection, nullptr, f.now)->address.port()];
  }
  EXPECT_EQ(hits[8081], 2);
  EXPECT_EQ(hits[8082], 4);
  for (PeerSelection& selection : held) f.group.Done(selection, Outcome::kOk, f.now);
  EXPECT_EQ(f.group.peers()[0].conns(), 0u);
}

TEST(LeastConn, TakesTurnsAmongEquals) {
  Fixture f(Servers({Server(8081), Server(8082), Server(8083)}, Method::kLeastConn));
  EXPECT_EQ(f.Sequence(6), "123123");
}

TEST(LeastTime, PrefersTheFasterAnswer) {
  Fixture f(Servers({Server(8081), Server(8082)}, Method::kLeastTime));
  for (int index : {0, 1}) {
    PeerSelection selection;
    f.group.Begin(selection);
    f.group.TryPeer(selection, &f.group.peers()[static_cast<size_t>(index)], f.now);
    f.group.Done(selection, Outcome::kOk, f.now, {.header_ms = index == 0 ? 500 : 30});
  }
  EXPECT_EQ(f.Sequence(5), "22222");
}

TEST(LeastTime, TakesNoQuickFailureForQuickness) {
  Fixture f(Servers({Server(8081), Server(8082)}, Method::kLeastTime));
  for (int index : {0, 1}) {
    for (const Outcome outcome : {Outcome::kOk, Outcome::kNext, Outcome::kNext}) {
      PeerSelection selection;
      f.group.Begin(selection);
      f.group.TryPeer(selection, &f.group.peers()[static_cast<size_t>(index)], f.now);
      const int64_t quick = index == 0 ? 1 : 100;
      f.group.Done(selection, outcome, f.now,
                   {.header_ms = outcome == Outcome::kOk ? (index == 0 ? 120 : 100) : quick});
    }
  }
  EXPECT_EQ(f.group.peers()[0].state->header_time_ms, 120u);
  EXPECT_EQ(f.Sequence(3), "222");
}

// Both peers have answered equally fast; then each gets a request, the first one a second earlier.
struct TwoInFlight {
  explicit TwoInFlight(bool inflight, bool last_byte = false) : f(With(inflight, last_byte)) {
    for (int index : {0, 1}) {
      PeerSelection selection;
      f.group.Begin(selection);
      f.group.TryPeer(selection, Peer(index), f.now);
      f.group.Answered(selection, f.now, 30);
      f.group.Done(selection, Outcome::kOk, f.now, {.header_ms = 30, .response_ms = 30});
    }
    for (int index : {0, 1}) {
      f.group.Begin(open[index]);
      f.group.TryPeer(open[index], Peer(index), f.now);
      f.now += 1000;
    }
  }
  static conf::Upstream With(bool inflight, bool last_byte) {
    conf::Upstream upstream = Servers({Server(8081), Server(8082)}, Method::kLeastTime);
    upstream.least_time_inflight = inflight;
    upstream.least_time_last_byte = last_byte;
    return upstream;
  }
  limpet::worker::Peer* Peer(int index) { return &f.group.peers()[static_cast<size_t>(index)]; }

  Fixture f;
  PeerSelection open[2];
};

TEST(LeastTime, InflightCountsUnfinishedRequests) {
  TwoInFlight without(false);
  const std::string turns = without.f.Sequence(4);
  EXPECT_NE(turns.find('1'), std::string::npos);
  EXPECT_NE(turns.find('2'), std::string::npos);
  TwoInFlight with(true);
  EXPECT_EQ(with.f.Sequence(4), "2222");
  with.f.group.Done(with.open[0], Outcome::kOk, with.f.now, {.header_ms = 30});
  with.f.now += 1000;
  EXPECT_EQ(with.f.Sequence(4), "1111");
  EXPECT_EQ(with.Peer(0)->state->inflight, 0u);
  EXPECT_EQ(with.Peer(1)->state->inflight, 1u);
}

TEST(LeastTime, InflightEndsWithTheHeadUnlessTheLastByteCounts) {
  for (const bool last_byte : {false, true}) {
    TwoInFlight with(true, last_byte);
    with.f.group.Answered(with.open[0], with.f.now, 30);
    EXPECT_EQ(with.Peer(0)->state->inflight, last_byte ? 1u : 0u);
    EXPECT_EQ(with.f.Sequence(4), last_byte ? "2222" : "1111");
    with.f.group.Done(with.open[0], Outcome::kOk, with.f.now, {.header_ms = 900});
    EXPECT_EQ(with.Peer(0)->state->inflight, 0u);
    // A head that was averaged with its arrival is not averaged twice.
    EXPECT_EQ(with.Peer(0)->state->header_time_ms, last_byte ? 74u : 30u);
  }
}

struct FixedSessions final : SessionCounts {
  uint64_t BoundTo(const Peer& peer) const override { return peer.index == 0 ? 10 : 15; }
};

TEST(LeastSessions, ComparesBoundSessionsPerWeight) {
  const FixedSessions counts;
  Fixture f(Servers({Server(8081, 1), Server(8082, 2)}, Method::kLeastSessions));
  f.group.set_session_counts(&counts);
  EXPECT_EQ(f.Sequence(3), "222");  // 15 / 2 < 10 / 1
}

TEST(Random, SharesByWeight) {
  for (const Method method : {Method::kRandom, Method::kRandomTwoLeastConn}) {
    Fixture f(Servers({Server(8081, 3), Server(8082, 1), Server(8083, 1)}, method));
    std::map<int, int> hits;
    for (int i = 0; i < 10'000; ++i) ++hits[f.Request()];
    EXPECT_GT(hits[2], 1000);
    EXPECT_LT(std::abs(hits[2] - hits[3]), 500);
    if (method == Method::kRandom) {
      EXPECT_NEAR(hits[1], 6000, 300);
    }
  }
}

TEST(Random, TwoTakesTheLessLoadedOne) {
  Fixture f(Servers({Server(8081), Server(8082)}, Method::kRandomTwoLeastConn));
  PeerSelection held;
  f.group.Begin(held);
  const int busy = f.group.Choose(held, nullptr, f.now)->address.port() % 10;
  for (int i = 0; i < 50; ++i) EXPECT_NE(f.Request(), busy);
}

// Whatever the method, stickiness works over it and a lone usable peer is found.
class EveryMethod : public testing::TestWithParam<Method> {};

TEST_P(EveryMethod, UsesTheBoundPeerWhileItCan) {
  Fixture f(Servers({Server(8081), Server(8082), Server(8083)}, GetParam()));
  const SocketAddress client = *SocketAddress::ParseIp("192.0.2.7", 1);
  for (int i = 0; i < 30; ++i) {
    EXPECT_EQ(f.Request("key", &f.group.peers()[static_cast<size_t>(i % 3)], &client), i % 3 + 1);
  }
  f.Fail(1);
  EXPECT_NE(f.Request("key", &f.group.peers()[1], &client), 2);
}

TEST_P(EveryMethod, FindsTheOnlyPeerThatIsUp) {
  std::vector<conf::UpstreamServer> servers;
  for (int i = 1; i <= 9; ++i) {
    servers.push_back(Server(8080 + i));
    servers.back().down = i != 7;
  }
  Fixture f(Servers(servers, GetParam()));
  const SocketAddress client = *SocketAddress::ParseIp("192.0.2.7", 1);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(f.Request(std::to_string(i), nullptr, &client), 7);
}

TEST_P(EveryMethod, LeavesNoConnectionCounted) {
  Fixture f(Servers({Server(8081), Server(8082)}, GetParam()));
  for (int i = 0; i < 100; ++i) f.Request(std::to_string(i));
  for (const Peer& peer : f.group.peers()) EXPECT_EQ(peer.conns(), 0u);
}

INSTANTIATE_TEST_SUITE_P(All, EveryMethod,
                         testing::Values(Method::kRoundRobin, Method::kLeastConn,
                                         Method::kLeastTime, Method::kLeastSessions,
                                         Method::kRandom, Method::kRandomTwoLeastConn,
                                         Method::kHash, Method::kHashConsistent, Method::kIpHash));

}  // namespace
}  // namespace limpet::worker
