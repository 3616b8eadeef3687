#include "worker/upstream/stand_in.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "tests/worker/upstream/group_fixture.h"

namespace limpet::worker {
namespace {

conf::Upstream Three(int weight_of_third = 1) {
  return Servers({Server(8081), Server(8082), Server(8083, weight_of_third)});
}

std::string Session(int n) { return "session-" + std::to_string(n); }

// Who stands in for the first peer: the port's last digit, 0 for nobody.
int StandInFor(Fixture& f, const std::string& session, bool only_ready = false, int tried = 0) {
  PeerSelection selection;
  f.group.Begin(selection);
  if (tried != 0) selection.tried.Set(tried);
  const Peer* peer = f.group.StandIn(selection, session, f.group.peers()[0], only_ready, f.now);
  return peer == nullptr ? 0 : peer->address.port() % 10;
}

TEST(StandIn, IsTheSameForEverybodyAndAtAllTimes) {
  Fixture one(Three());
  Fixture other(Servers({Server(8083), Server(8081), Server(8082)}));
  for (int n = 0; n < 100; ++n) {
    const int stand_in = StandInFor(one, Session(n));
    PeerSelection selection;
    other.group.Begin(selection);
    const Peer& home = other.group.peers()[1];
    EXPECT_EQ(other.group.StandIn(selection, Session(n), home, false, 1)->address.port() % 10,
              stand_in);
  }
  // Written down: another version must not come to another answer.
  EXPECT_EQ(StandInFor(one, Session(0)), 2);
  EXPECT_EQ(StandInFor(one, Session(1)), 3);
}

TEST(StandIn, SharesSessionsByWeight) {
  Fixture f(Three(3));
  std::array<int, 10> shares{};
  for (int n = 0; n < 4000; ++n) ++shares[static_cast<size_t>(StandInFor(f, Session(n)))];
  EXPECT_EQ(shares[1], 0);  // it is away
  EXPECT_NEAR(shares[2], 1000, 150);
  EXPECT_NEAR(shares[3], 3000, 150);
}

TEST(StandIn, OnlyThoseOfOneThatGoesGetAnother) {
  Fixture f(Servers({Server(8081), Server(8082), Server(8083), Server(8084)}));
  for (int n = 0; n < 200; ++n) {
    const int before = StandInFor(f, Session(n));
    const int after = StandInFor(f, Session(n), false, 2);  // the third has been tried
    EXPECT_NE(after, 3);
    EXPECT_TRUE(before == 3 || after == before);
  }
}

TEST(StandIn, IsNoneThatDrainsOrIsDownAndABackupOnlyWithoutPrimaries) {
  conf::Upstream conf = Three();
  conf.servers[2].backup = true;
  Fixture f(std::move(conf));
  for (int n = 0; n < 20; ++n) EXPECT_EQ(StandInFor(f, Session(n)), 2);
  shm::BeginDrain(f.group.peers()[1].state->standing(), 0);
  EXPECT_EQ(StandInFor(f, Session(0)), 3);
  f.Fail(2);
  EXPECT_EQ(StandInFor(f, Session(0)), 0);
}

TEST(StandIn, ThatIsFullIsStillTheOneUnlessAnotherIsAskedFor) {
  conf::Upstream conf = Three();
  for (auto& server : conf.servers) server.max_conns = 1;
  Fixture f(std::move(conf));
  const int stand_in = StandInFor(f, Session(0));
  PeerSelection selection;
  f.group.Begin(selection);
  ASSERT_NE(f.group.TryPeer(selection, &f.group.peers()[static_cast<size_t>(stand_in - 1)], f.now),
            nullptr);
  EXPECT_EQ(StandInFor(f, Session(0)), stand_in);
  EXPECT_EQ(StandInFor(f, Session(0), true), 5 - stand_in);  // 2 or 3
  f.group.Done(selection, Outcome::kOk, f.now);
}

}  // namespace
}  // namespace limpet::worker
