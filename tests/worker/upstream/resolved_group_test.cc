// Groups whose peers come from names, and the table in which workers share them.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "base/hash.h"
#include "shm/peer_state.h"
#include "shm/peer_state_registry.h"
#include "shm/resolved_peers.h"
#include "tests/worker/upstream/group_fixture.h"

namespace limpet::worker {
namespace {

using shm::PeerStateRegistry;
using shm::PeerStates;
using shm::ResolvedPeer;

conf::UpstreamServer Resolved(const std::string& host = "web.test", int port = 80) {
  conf::UpstreamServer server;
  server.name = server.host = host;
  server.port = static_cast<uint16_t>(port);
  server.resolve = true;
  return server;
}

// Whose records name targets and ports.
conf::UpstreamServer Service() {
  conf::UpstreamServer server = Resolved();
  server.service = "http";
  return server;
}

ResolvedPeer At(int last, int port = 80, const std::string& target = "") {
  return {.address =
              *SocketAddress::ParseIp(fmt::format("10.0.0.{}", last), static_cast<uint16_t>(port)),
          .target = target};
}

// An upstream with names, as the master attaches it and a worker has it.
struct Names {
  explicit Names(std::vector<conf::UpstreamServer> servers, uint32_t capacity = 64)
      : upstream(Servers(std::move(servers))) {
    upstream.zone = "z";
    states = Attach(capacity);
    group = std::make_unique<UpstreamGroup>(upstream, states.get(), 1);
  }
  std::unique_ptr<PeerStates> Attach(uint32_t capacity = 64) {
    return registry.Attach("app", UpstreamGroup::PeerIdentities(upstream),
                           UpstreamGroup::ServerNames(upstream), capacity);
  }
  size_t Give(const std::vector<ResolvedPeer>& peers, size_t name = 0) {
    const PeerStates::Guard guard(*states);
    return states->resolved()->Replace(states->sources()[name], peers);
  }
  std::string Peers() {
    group->Update();
    std::string names;
    for (const Peer& peer : group->peers()) names += peer.name + (peer.backup ? "b " : " ");
    return names;
  }
  std::string Request(Peer* bound = nullptr) {
    PeerSelection selection;
    group->Begin(selection);
    Peer* peer = group->Choose(selection, bound, now);
    if (peer == nullptr) return "";
    group->Done(selection, Outcome::kOk, now);
    return peer->name;
  }

  PeerStateRegistry registry;
  conf::Upstream upstream;
  std::unique_ptr<PeerStates> states;
  std::unique_ptr<UpstreamGroup> group;
  uint64_t now = 1'000'000;
};

TEST(ResolvedGroup, PeersComeAndGo) {
  Names n({Resolved()});
  EXPECT_EQ(n.Request(), "");
  n.Give({At(1), At(2)});
  EXPECT_EQ(n.Peers(), "10.0.0.1:80 10.0.0.2:80 ");
  n.Give({At(2), At(3)});
  EXPECT_EQ(n.Peers(), "10.0.0.2:80 10.0.0.3:80 ");
  n.Give({});
  EXPECT_EQ(n.Request(), "");
}

TEST(ResolvedGroup, StandBesideConfiguredOnes) {
  auto backup = Server(8082);
  backup.backup = true;
  Names n({backup, Resolved(), Server(8081), Resolved("other.test", 81)});
  ResolvedPeer later = At(9, 81);
  later.backup = true;
  n.Give({At(1)}, 0);
  n.Give({At(7, 81), later}, 1);
  EXPECT_EQ(n.Peers(), "10.0.0.1:80 127.0.0.1:8081 10.0.0.7:81 127.0.0.1:8082b 10.0.0.9:81b ");
}

TEST(ResolvedGroup, OnesThatStayKeepTheirState) {
  Names n({Resolved()});
  n.Give({At(1), At(2)});
  n.Peers();
  n.group->peers()[1].state->failed = 7;
  n.Give({At(2), At(3)});
  n.Peers();
  EXPECT_EQ(n.group->peers()[0].state->failed, 7u);
  EXPECT_EQ(n.group->peers()[1].state->failed, 0u);
}

TEST(ResolvedGroup, OnesThatComeBackBeginAnew) {
  Names n({Resolved()});
  n.Give({At(1), At(2)});
  n.Peers();
  shm::BeginDrain(n.group->peers()[0].state->standing(), 0);
  n.Give({At(2)});
  n.Give({At(1), At(2)});
  n.Peers();
  for (const Peer& peer : n.group->peers()) EXPECT_FALSE(peer.draining()) << peer.name;
}

TEST(ResolvedGroup, ARequestUnderWayEndsAtItsPeerAndThenThePlaceIsFree) {
  Names n({Resolved()}, 2);
  n.Give({At(1), At(2)});
  PeerSelection selection;
  n.group->Begin(selection);
  Peer* peer = n.group->Choose(selection, nullptr, n.now);
  ASSERT_EQ(peer->name, "10.0.0.1:80");
  EXPECT_EQ(n.Give({At(3), At(4)}), 1u);  // one place is still in use
  EXPECT_EQ(n.Peers(), "10.0.0.3:80 ");
  EXPECT_TRUE(peer->gone);
  EXPECT_EQ(peer->state->conns, 1u);
  n.group->Done(selection, Outcome::kOk, n.now);
  EXPECT_EQ(peer->name, "10.0.0.1:80");  // the selection keeps it
  EXPECT_EQ(n.Give({At(3), At(4)}), 0u);
  EXPECT_EQ(n.Peers(), "10.0.0.3:80 10.0.0.4:80 ");
}

TEST(ResolvedGroup, ARetryGoesToNoneThatHasGone) {
  Names n({Resolved()});
  n.Give({At(1), At(2)});
  PeerSelection selection;
  n.group->Begin(selection);
  ASSERT_NE(n.group->Choose(selection, nullptr, n.now), nullptr);
  n.group->Done(selection, Outcome::kFailed, n.now);
  n.Give({At(3)});
  Peer* peer = n.group->Choose(selection, nullptr, n.now);
  ASSERT_NE(peer, nullptr);
  EXPECT_EQ(peer->name, "10.0.0.3:80");
  n.group->Done(selection, Outcome::kOk, n.now);
}

TEST(ResolvedGroup, ABoundPeerIsFoundAgainInTheNextSet) {
  Names n({Resolved()});
  n.Give({At(1), At(2)});
  n.Peers();
  PeerSelection holds;  // the set that `bound` is of
  n.group->Begin(holds);
  Peer* bound = n.group->FindByServerId(n.group->peers()[1].server_id);
  n.Give({At(1), At(2), At(3)});
  for (int i = 0; i < 4; ++i) EXPECT_EQ(n.Request(bound), "10.0.0.2:80");
  n.Give({At(1)});
  EXPECT_EQ(n.Request(bound), "10.0.0.1:80");
}

// Those who keep pointers to peers must hear of it before the former ones are freed.
TEST(ResolvedGroup, WhoeverTakesThePresentPeersTellsOfThem) {
  struct Listener {
    int heard = 0;
    void Hear() { ++heard; }
  } listener;
  Names n({Resolved()});
  n.group->set_on_change(Callback::To<&Listener::Hear>(&listener));
  n.Give({At(1), At(2)});
  n.group->Update();
  EXPECT_EQ(listener.heard, 1);
  PeerSelection selection;
  n.group->Begin(selection);
  n.Give({At(1), At(3)});
  ASSERT_NE(n.group->TryPeer(selection, &n.group->peers()[0], n.now), nullptr);
  EXPECT_EQ(listener.heard, 2);
  n.group->Done(selection, Outcome::kOk, n.now);
  n.Give({At(3)});
  n.Request();
  EXPECT_EQ(listener.heard, 3);
}

TEST(ResolvedGroup, AnotherTargetAtAnAddressIsAnotherServer) {
  Names n({Service()});
  n.Give({At(1, 80, "pod-a.test")});
  n.Peers();
  const std::string before = n.group->peers()[0].server_id;
  n.group->peers()[0].state->failed = 7;
  n.Give({At(1, 80, "pod-b.test")});
  n.Peers();
  EXPECT_NE(n.group->peers()[0].server_id, before);
  EXPECT_EQ(n.group->FindByServerId(before), nullptr);
  EXPECT_EQ(n.group->peers()[0].state->failed, 0u);
}

TEST(ResolvedGroup, ClientsKnowServersOfAServiceByTheirAddress) {
  Names n({Service()});
  n.Give({At(1, 80, "pod-a.test")});
  n.Peers();
  Peer& peer = n.group->peers()[0];
  EXPECT_EQ(ClientId(peer), Md5Hex("10.0.0.1:80"));
  EXPECT_EQ(n.group->FindByServerId(Md5Hex("10.0.0.1:80")), &peer);
}

TEST(ResolvedGroup, TwoEqualRecordsAreTwoPeers) {
  Names n({Service()});
  n.Give({At(1, 80, "a.test"), At(1, 80, "a.test")});
  EXPECT_EQ(n.Peers(), "10.0.0.1:80 10.0.0.1:80 ");
  n.group->peers()[0].state->failed = 7;
  n.group->peers()[1].state->failed = 8;
  n.Give({At(1, 80, "a.test"), At(1, 80, "a.test"), At(2, 80, "a.test")});
  EXPECT_EQ(n.Peers(), "10.0.0.1:80 10.0.0.1:80 10.0.0.2:80 ");
  EXPECT_EQ(n.group->peers()[0].state->failed + n.group->peers()[1].state->failed, 15u);
  n.Give({At(1, 80, "a.test")});
  EXPECT_EQ(n.Peers(), "10.0.0.1:80 ");
  EXPECT_EQ(n.group->peers()[0].state->failed, 7u);
}

TEST(ResolvedGroup, ANewWeightKeepsTheState) {
  Names n({Service()});
  auto peer = At(1, 80, "a.test");
  peer.weight = 2;
  n.Give({peer});
  n.Peers();
  n.group->peers()[0].state->failed = 7;
  peer.weight = 5;
  n.Give({peer});
  n.Peers();
  EXPECT_EQ(n.group->peers()[0].weight(), 5);
  EXPECT_EQ(n.group->peers()[0].state->failed, 7u);
}

TEST(ResolvedGroup, AReloadKeepsNamesAndTheirPeers) {
  Names n({Resolved()});
  n.Give({At(1)});
  n.Peers();
  n.group->peers()[0].state->failed = 7;
  for (int reload = 0; reload < 5; ++reload) {
    auto next = n.Attach();
    n.group.reset();
    n.states = std::move(next);
    n.group = std::make_unique<UpstreamGroup>(n.upstream, n.states.get(), 2);
  }
  ASSERT_EQ(n.Peers(), "10.0.0.1:80 ");
  EXPECT_EQ(n.group->peers()[0].state->failed, 7u);
}

TEST(ResolvedGroup, ANameWithAnotherPortBeginsWithTheKnownAddresses) {
  Names n({Resolved()});
  n.Give({At(1), At(2)});
  conf::Upstream moved = Servers({Resolved("web.test", 8080)});
  const auto states = n.registry.Attach("app", {}, UpstreamGroup::ServerNames(moved), 64);
  UpstreamGroup group(moved, states.get(), 2);
  ASSERT_EQ(group.peers().size(), 2u);
  EXPECT_EQ(group.peers()[0].name, "10.0.0.1:8080");
  EXPECT_EQ(n.Peers(), "10.0.0.1:80 10.0.0.2:80 ");  // the old workers' own
}

TEST(ResolvedGroup, APlaceTellsItsPeersApart) {
  Names n({Resolved()}, 1);
  n.Give({At(1)});
  n.Peers();
  const PeerSetRef before = n.group->current();
  Peer& first = before->peers[0];
  EXPECT_TRUE(first.is_in_place());
  n.Give({At(2)});
  EXPECT_FALSE(first.is_in_place());
  n.Peers();
  ASSERT_EQ(n.group->peers()[0].state, first.state);
  EXPECT_TRUE(n.group->peers()[0].is_in_place());
  n.Give({});
  n.Give({At(1)});
  EXPECT_FALSE(first.is_in_place()) << "its address has come back, not the peer";
}

TEST(ResolvedGroup, AnotherCapacityMovesWhatIsKnownOfThePeers) {
  Names n({Resolved("web.test", 81), Resolved(), Resolved()});
  n.Give({At(1, 81)}, 0);
  n.Give({At(1), At(2)}, 1);
  n.Give({At(1), At(2)}, 2);
  n.Peers();
  shm::PeerState& left = *n.group->peers()[1].state;
  ASSERT_EQ(n.group->peers()[1].name, "10.0.0.1:80");
  shm::BeginDrain(left.standing(), 77);
  left.failed = 5;
  left.RaisePassed(3);
  PeerSelection selection;
  n.group->Begin(selection);
  ASSERT_NE(n.group->TryPeer(selection, &n.group->peers()[2], n.now), nullptr);

  auto states = n.Attach(128);
  UpstreamGroup group(n.upstream, states.get(), 2);
  ASSERT_EQ(group.peers().size(), 5u);
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(group.peers()[i].draining(), i == 1) << i;
  const shm::PeerState& there = *group.peers()[1].state;
  EXPECT_NE(&there, &left);
  EXPECT_EQ(there.standing().drain_until_ms, 77u);
  EXPECT_EQ(there.failed, 5u);
  EXPECT_TRUE(there.HasPassedIn(2));
  EXPECT_EQ(group.peers()[2].conns(), 0u) << "counted where it was begun";
}

TEST(ResolvedGroup, AnotherCapacityMovesTheAddresses) {
  Names n({Resolved()});
  n.Give({At(1)});
  auto states = n.Attach(128);
  UpstreamGroup group(n.upstream, states.get(), 2);
  EXPECT_EQ(states->resolved()->capacity(), 128u);
  EXPECT_EQ(group.peers().size(), 1u);
}

TEST(ResolvedGroup, AWriterThatDiesLeavesATableOthersUse) {
  Names n({Resolved()});
  n.Give({At(1)});
  EXPECT_EQ(n.Peers(), "10.0.0.1:80 ");
  const pid_t child = ::fork();
  if (child == 0) {
    const PeerStates::Guard guard(*n.states);
    n.states->resolved()->Replace(n.states->sources()[0], std::vector{At(2)});
    ::raise(SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
  const uint64_t version = n.states->resolved()->version();
  EXPECT_EQ(n.Peers(), "10.0.0.2:80 ");
  EXPECT_GT(n.states->resolved()->version(), version);  // repaired: everybody looks again
}

TEST(ResolvedGroup, ANameWithoutAddressesIsKnownOnceItHasBeenAnswered) {
  Names names({Resolved("live.test"), Resolved("dead.test")});
  EXPECT_FALSE(names.states->AllNamesKnown());
  names.Give({At(1)});
  EXPECT_FALSE(names.states->AllNamesKnown());
  const uint64_t version = names.states->resolved()->version();
  names.Give({}, 1);
  EXPECT_TRUE(names.states->AllNamesKnown());
  EXPECT_GT(names.states->resolved()->version(), version);
  names.Give({});
  EXPECT_TRUE(names.states->AllNamesKnown());
  const auto reloaded = names.Attach();
  EXPECT_TRUE(reloaded->AllNamesKnown());
  const auto larger = names.Attach(128);
  EXPECT_TRUE(larger->AllNamesKnown());
}

}  // namespace
}  // namespace limpet::worker
