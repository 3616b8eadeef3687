// Each method's choice over 10,000 requests against the distribution it promises.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "tests/worker/upstream/group_fixture.h"

namespace limpet::worker {
namespace {

using Method = conf::BalanceMethod;
constexpr int kRequests = 10'000;

// Five servers, their weights adding up to ten.
std::vector<conf::UpstreamServer> Five() {
  return {Server(8081, 4), Server(8082, 2), Server(8083, 2), Server(8084, 1), Server(8085, 1)};
}
constexpr double kShare[] = {0, 0.4, 0.2, 0.2, 0.1, 0.1};

using Hits = std::map<int, int>;

Hits Simulate(Fixture& f, const std::function<int(int)>& request) {
  Hits hits;
  for (int i = 0; i < kRequests; ++i) {
    ++f.now;
    ++hits[request(i)];
  }
  return hits;
}

void ExpectWeights(const Hits& hits, double tolerance) {
  EXPECT_EQ(hits.count(0), 0u) << "requests without a server";
  for (int peer = 1; peer <= 5; ++peer) {
    const auto found = hits.find(peer);
    const double got = found == hits.end() ? 0 : found->second;
    EXPECT_NEAR(got, kShare[peer] * kRequests, kRequests * tolerance) << "server " << peer;
  }
}

TEST(Distribution, RoundRobinIsExact) {
  Fixture f(Servers(Five()));
  ExpectWeights(Simulate(f, [&](int) { return f.Request(); }), 0);
}

// Requests of sessions are counted in the weights: the others make up for them as far as they can.
TEST(Distribution, RoundRobinCountsStickyRequests) {
  Fixture f(Servers({Server(8081), Server(8082)}));
  Peer* const first = &f.group.peers()[0];
  int free_at_first = 0;
  Hits hits = Simulate(f, [&](int i) {
    const bool sticky = i % 4 == 0;
    const int peer = f.Request({}, sticky ? first : nullptr);
    free_at_first += !sticky && peer == 1;
    return peer;
  });
  EXPECT_NEAR(hits[1], kRequests / 2, 2);        // altogether even
  EXPECT_NEAR(free_at_first, kRequests / 4, 2);  // as the sessions have had their half
}

TEST(Distribution, SessionsBeyondAServersShareLeaveTheRestToTheOthers) {
  Fixture f(Servers({Server(8081), Server(8082), Server(8083)}));
  Peer* const first = &f.group.peers()[0];
  Hits hits = Simulate(f, [&](int i) { return f.Request({}, i % 4 != 0 ? first : nullptr); });
  EXPECT_GE(hits[1], kRequests * 3 / 4);
  EXPECT_LE(hits[1], kRequests * 3 / 4 + kRequests / 20);
  EXPECT_NEAR(hits[2], hits[3], kRequests / 50);
}

TEST(Distribution, LeastConnFollowsTheWeightsWhenRequestsTakeEquallyLong) {
  Fixture f(Servers(Five(), Method::kLeastConn));
  std::vector<PeerSelection> open(50);  // each ends when fifty others have begun
  Hits hits = Simulate(f, [&](int i) {
    PeerSelection& selection = open[static_cast<size_t>(i) % open.size()];
    if (selection.current != nullptr) f.group.Done(selection, Outcome::kOk, f.now);
    f.group.Begin(selection);
    return f.group.Choose(selection, nullptr, f.now)->address.port() % 10;
  });
  ExpectWeights(hits, 0.01);
  for (PeerSelection& selection : open) f.group.Done(selection, Outcome::kOk, f.now);
}

TEST(Distribution, LeastConnSparesTheSlow) {
  Fixture f(Servers({Server(8081), Server(8082)}, Method::kLeastConn));
  struct Open {
    PeerSelection selection;
    uint64_t until = 0;
  };
  std::vector<std::unique_ptr<Open>> open;
  Hits hits = Simulate(f, [&](int) {
    std::erase_if(open, [&](const auto& one) {
      if (one->until > f.now) return false;
      f.group.Done(one->selection, Outcome::kOk, f.now);
      return true;
    });
    auto& one = open.emplace_back(std::make_unique<Open>());
    f.group.Begin(one->selection);
    const int peer = f.group.Choose(one->selection, nullptr, f.now)->address.port() % 10;
    one->until = f.now + (peer == 1 ? 30 : 10);  // the first takes three times as long
    return peer;
  });
  EXPECT_NEAR(hits[2], 3 * hits[1], kRequests / 20);
}

TEST(Distribution, LeastTimeSharesByTime) {
  Fixture f(Servers({Server(8081), Server(8082)}, Method::kLeastTime));
  Hits hits = Simulate(f, [&](int) {
    PeerSelection selection;
    f.group.Begin(selection);
    Peer* const peer = f.group.Choose(selection, nullptr, f.now);
    const bool slow = peer->index == 0;
    f.group.Done(selection, Outcome::kOk, f.now, {.header_ms = slow ? 200 : 50});
    return slow ? 1 : 2;
  });
  EXPECT_GT(hits[2], kRequests * 95 / 100);  // nothing waits: the quicker is always better
}

struct CountedSessions final : SessionCounts {
  uint64_t bound[6] = {};
  uint64_t BoundTo(const Peer& peer) const override { return bound[peer.address.port() % 10]; }
};

TEST(Distribution, LeastSessionsBindsByWeight) {
  CountedSessions counts;
  Fixture f(Servers(Five(), Method::kLeastSessions));
  f.group.set_session_counts(&counts);
  Hits hits = Simulate(f, [&](int) {
    const int peer = f.Request();  // each request opens a session
    ++counts.bound[peer];
    return peer;
  });
  ExpectWeights(hits, 0.001);
}

TEST(Distribution, LeastSessionsFillsUpANewServer) {
  CountedSessions counts;
  Fixture f(Servers({Server(8081), Server(8082), Server(8083)}, Method::kLeastSessions));
  f.group.set_session_counts(&counts);
  counts.bound[1] = counts.bound[2] = 2000;
  for (int i = 0; i < 2000; ++i) ++counts.bound[f.Request()];
  EXPECT_EQ(counts.bound[3], 2000u);
}

TEST(Distribution, RandomSharesByWeight) {
  Fixture f(Servers(Five(), Method::kRandom));
  ExpectWeights(Simulate(f, [&](int) { return f.Request(); }), 0.025);  // five sigma
}

TEST(Distribution, RandomTwoKeepsLoadsTogether) {
  Fixture f(Servers({Server(8081), Server(8082), Server(8083), Server(8084)},
                    Method::kRandomTwoLeastConn));
  std::vector<PeerSelection> open(200);
  uint32_t widest = 0;
  Hits hits = Simulate(f, [&](int i) {
    PeerSelection& selection = open[static_cast<size_t>(i) % open.size()];
    if (selection.current != nullptr) f.group.Done(selection, Outcome::kOk, f.now);
    f.group.Begin(selection);
    const int peer = f.group.Choose(selection, nullptr, f.now)->address.port() % 10;
    const auto [least, most] =
        std::minmax_element(f.group.peers().begin(), f.group.peers().end(),
                            [](const Peer& a, const Peer& b) { return a.conns() < b.conns(); });
    if (i > 1000) widest = std::max(widest, most->conns() - least->conns());
    return peer;
  });
  for (int peer = 1; peer <= 4; ++peer) EXPECT_NEAR(hits[peer], kRequests / 4, kRequests / 20);
  EXPECT_LE(widest, 24u);  // of one at random, without the second look, it is about 40
  for (PeerSelection& selection : open) f.group.Done(selection, Outcome::kOk, f.now);
}

TEST(Distribution, HashSharesKeysByWeight) {
  for (const auto& [method, tolerance] :
       {std::pair{Method::kHash, 0.03}, {Method::kHashConsistent, 0.06}}) {
    Fixture f(Servers(Five(), method));
    ExpectWeights(Simulate(f, [&](int i) { return f.Request(fmt::format("key-{}", i)); }),
                  tolerance);
  }
}

// Where round robin goes on after the requests of sessions, number by number as nginx 1.31.5 does:
// a session's requests count, but of those in a row only so many as a turn allows.
TEST(Distribution, RoundRobinGoesOnAfterSessionsAsNginxDoes) {
  Fixture f(Servers({Server(8081), Server(8082), Server(8083), Server(8084)}));
  EXPECT_EQ(f.Sequence(4), "1234");
  for (const int session : {2, 1, 3, 4}) {
    Peer* const bound = &f.group.peers()[static_cast<size_t>(session - 1)];
    for (int i = 0; i < 4; ++i) EXPECT_EQ(f.Request({}, bound), session);
  }
  EXPECT_EQ(f.Sequence(6), "212312");
}

TEST(Distribution, IpHashSharesNetworksByWeightAndKeepsThemTogether) {
  Fixture f(Servers(Five(), Method::kIpHash));
  const auto visit = [&](int network, int host) {
    const auto client =
        *SocketAddress::ParseIp(fmt::format("10.{}.{}.{}", network / 256, network % 256, host), 1);
    return f.Request({}, nullptr, &client);
  };
  ExpectWeights(Simulate(f, [&](int i) { return visit(i, 1); }), 0.05);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(visit(i, 1), visit(i, 99));
}

// Whatever the method, sessions are where they were bound.
TEST(Distribution, StickyRequestsAreTheSessionsOwn) {
  for (const Method method : {Method::kRoundRobin, Method::kLeastConn, Method::kLeastTime,
                              Method::kRandom, Method::kHash, Method::kHashConsistent}) {
    Fixture f(Servers(Five(), method));
    Simulate(f, [&](int i) {
      Peer* const bound = &f.group.peers()[static_cast<size_t>(i) % 5];
      const int peer = f.Request(fmt::format("key-{}", i), bound);
      EXPECT_EQ(peer, i % 5 + 1);
      return peer;
    });
  }
}

}  // namespace
}  // namespace limpet::worker
