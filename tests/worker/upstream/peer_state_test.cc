// States shared by forked workers, as groups use them.
#include "shm/peer_state.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "tests/worker/upstream/group_fixture.h"

namespace limpet::worker {
namespace {

using shm::PeerStateRegistry;
using shm::PeerStates;

// Runs in a child process and waits for its end.
template <class Body>
void InChild(const Body& body) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    body();
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
}

TEST(PeerStates, FailuresOfOneWorkerAreSeenByAnother) {
  PeerStateRegistry registry;
  const auto upstream = Servers({Server(8081), Server(8082)});
  const auto states = registry.Attach("app", UpstreamGroup::PeerIdentities(upstream));
  InChild([&] { Fixture(upstream, states.get(), 1).Fail(0); });
  Fixture f(upstream, states.get(), 2);
  EXPECT_EQ(f.Sequence(3), "222");
}

TEST(PeerStates, AreKeptOverAReloadForPeersThatStay) {
  PeerStateRegistry registry;
  auto before = registry.Attach("app", {"a", "b"});
  (*before)[0].fails = 7;
  (*before)[1].fails = 8;
  auto after = registry.Attach("app", {"c", "b"});
  before.reset();
  EXPECT_EQ((*after)[0].fails, 0u);
  EXPECT_EQ((*after)[1].fails, 8u);
  auto other = registry.Attach("web", {"b"});
  EXPECT_EQ((*other)[0].fails, 0u);  // another upstream's peer of that name
}

TEST(PeerStates, MemoryOfGonePeersIsUsedAgainClean) {
  PeerStateRegistry registry;
  auto first = registry.Attach("app", {"a"});
  shm::PeerState* address = &(*first)[0];
  address->fails = 7;
  first.reset();
  auto second = registry.Attach("app", {"b"});
  EXPECT_EQ(&(*second)[0], address);
  EXPECT_EQ((*second)[0].fails, 0u);
}

TEST(PeerStates, ConnectionsOfADeadWorkerAreForgotten) {
  PeerStateRegistry registry;
  const auto upstream = Servers({Server(8081), Server(8082)});
  const auto states = registry.Attach("app", UpstreamGroup::PeerIdentities(upstream));
  const auto hold = [&](int slot) {
    Fixture f(upstream, states.get(), slot);
    PeerSelection selection;
    f.group.Begin(selection);
    f.group.TryPeer(selection, &f.group.peers()[0], f.now);
  };
  InChild([&] {
    hold(3);
    hold(3);
    ::raise(SIGKILL);
  });
  hold(4);
  EXPECT_EQ((*states)[0].conns, 3u);
  EXPECT_TRUE(registry.ForgetWorker(3));
  EXPECT_EQ((*states)[0].conns, 1u);
}

TEST(PeerStates, AWorkerThatDiesInsideTheLockStopsNobody) {
  PeerStateRegistry registry;
  const auto upstream = Servers({Server(8081), Server(8082)});
  const auto states = registry.Attach("app", UpstreamGroup::PeerIdentities(upstream));
  Fixture f(upstream, states.get(), 1);
  InChild([&] {
    const PeerStates::Guard guard(*states);
    (*states)[0].conns = 1000;  // half done: its slot was not counted
    (*states)[1].current_weight = -1000;
    ::raise(SIGKILL);
  });
  EXPECT_EQ(f.Sequence(4), "1212");
  EXPECT_EQ((*states)[0].conns, 0u);
}

TEST(PeerStates, AnotherWeightAtReloadStartsAfresh) {
  PeerStateRegistry registry;
  const auto states = registry.Attach("app", {"127.0.0.1:8081", "127.0.0.1:8082"});
  Fixture before(Servers({Server(8081), Server(8082)}), states.get(), 1);
  before.Request();
  Fixture after(Servers({Server(8081, 3), Server(8082)}), states.get(), 2);
  EXPECT_EQ((*states)[0].effective_weight, 3);
  const std::string ids = after.Sequence(40);
  EXPECT_NEAR(static_cast<double>(std::count(ids.begin(), ids.end(), '1')), 30, 1);
}

}  // namespace
}  // namespace limpet::worker
