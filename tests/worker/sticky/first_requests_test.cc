#include "worker/sticky/first_requests.h"

#include <gtest/gtest.h>

#include "shm/peer_state_registry.h"
#include "tests/worker/upstream/group_fixture.h"

namespace limpet::worker {
namespace {

using std::chrono::milliseconds;

class FirstRequestsTest : public testing::Test {
 protected:
  Peer* Find(uint64_t client, uint64_t now_ms) {
    return first_.Find(client, *upstream_.group.current(), now_ms);
  }

  Fixture upstream_{Servers({Server(8081), Server(8082)})};
  FirstRequests first_{milliseconds(200)};
  Peer& one_ = upstream_.group.peers()[0];
  Peer& two_ = upstream_.group.peers()[1];
  FirstRequests::Member a_, b_;
};

TEST_F(FirstRequestsTest, OthersFollowTheFirstOfTheirConnection) {
  EXPECT_EQ(Find(7, 1000), nullptr);
  first_.Join(a_, 7, one_, 1000);
  EXPECT_EQ(Find(7, 1200), &one_);
  EXPECT_EQ(Find(8, 1000), nullptr);
}

TEST_F(FirstRequestsTest, UntilAllHaveBeenAnswered) {
  first_.Join(a_, 7, one_, 1000);
  first_.Join(b_, 7, one_, 1050);
  a_.Leave();
  EXPECT_EQ(Find(7, 1100), &one_);
  b_.Leave();
  EXPECT_EQ(Find(7, 1100), nullptr);
}

TEST_F(FirstRequestsTest, NoLongerThanTheFirstOneMayWait) {
  first_.Join(a_, 7, one_, 1000);
  first_.Join(b_, 7, one_, 1150);
  EXPECT_EQ(Find(7, 1201), nullptr);
  FirstRequests::Member c;
  first_.Join(c, 7, two_, 1201);
  EXPECT_EQ(Find(7, 1300), &two_);
  a_.Leave();  // of the round before
  b_.Leave();
  EXPECT_EQ(Find(7, 1300), &two_);
}

TEST_F(FirstRequestsTest, OneThatCouldNotFollowLeadsNobody) {
  first_.Join(a_, 7, one_, 1000);
  first_.Join(b_, 7, two_, 1010);
  EXPECT_FALSE(b_.joined());
  EXPECT_EQ(Find(7, 1020), &one_);
}

TEST_F(FirstRequestsTest, ForgetsPeersThatAreNoMore) {
  first_.Join(a_, 7, one_, 1000);
  first_.Forget();
  EXPECT_EQ(Find(7, 1010), nullptr);
  a_.Leave();
}

// One that began with another set may lead: those that follow it may outlive that set.
TEST(FirstRequests, LeadToAPeerOfTheFollowersOwnSet) {
  conf::UpstreamServer name;
  name.name = name.host = "web.test";
  name.resolve = true;
  const conf::Upstream upstream = Servers({name});
  const auto at = [](int last) {
    return shm::ResolvedPeer{.address =
                                 *SocketAddress::ParseIp(fmt::format("10.0.0.{}", last), 80)};
  };
  shm::PeerStateRegistry registry;
  const auto states = registry.Attach("app", {}, UpstreamGroup::ServerNames(upstream), 64);
  const auto give = [&](const std::vector<shm::ResolvedPeer>& peers) {
    const shm::PeerStates::Guard guard(*states);
    states->resolved()->Replace(states->sources()[0], peers);
  };
  give({at(1), at(2)});
  UpstreamGroup group(upstream, states.get(), 1);
  FirstRequests first(milliseconds(200));

  FirstRequests::Member lead;
  PeerSelection leader, follower, other;
  group.Begin(leader);
  give({at(1), at(3)});
  group.Begin(follower);
  first.Join(lead, 7, leader.set->peers[0], 1000);  // after a wait, from the set it began with
  Peer* const found = first.Find(7, *follower.set, 1000);
  EXPECT_EQ(found, &follower.set->peers[0]);
  first.Join(lead, 7, leader.set->peers[1], 1000);
  EXPECT_EQ(first.Find(7, *follower.set, 1000), nullptr) << "that one has gone";
  lead.Leave();
  leader.LetGo();
  give({at(1)});
  group.Begin(other);
  EXPECT_EQ(other.set->Own(found), &other.set->peers[0]);
}

TEST_F(FirstRequestsTest, DoesNothingWhileItIsOff) {
  FirstRequests off(milliseconds(0));
  off.Join(a_, 7, one_, 1000);
  EXPECT_FALSE(a_.joined());
  EXPECT_EQ(off.Find(7, *upstream_.group.current(), 1000), nullptr);
}

}  // namespace
}  // namespace limpet::worker
