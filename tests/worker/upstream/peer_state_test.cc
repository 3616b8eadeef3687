// States shared by forked workers, as groups use them.
#include "shm/peer_state.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "shm/peer_state_registry.h"
#include "shm/zone.h"
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

TEST(ResponseCodes, TellsSoManyApartAndLeavesTheOthers) {
  shm::ResponseCodes codes;
  for (int round = 0; round < 2; ++round) {
    for (int code = 200; code < 300; ++code) codes.Add(code);
  }
  int expected = 200;
  codes.ForEach([&](int code, uint64_t count) {
    EXPECT_EQ(code, expected++);
    EXPECT_EQ(count, 2u);
  });
  EXPECT_EQ(expected, 200 + static_cast<int>(shm::ResponseCodes::kPlaces));
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
  (*before)[0].standing().fails = 7;
  (*before)[1].standing().fails = 8;
  auto after = registry.Attach("app", {"c", "b"});
  before.reset();
  EXPECT_EQ((*after)[0].standing().fails, 0u);
  EXPECT_EQ((*after)[1].standing().fails, 8u);
  auto other = registry.Attach("web", {"b"});
  EXPECT_EQ((*other)[0].standing().fails, 0u);  // another upstream's peer of that name
}

TEST(PeerStates, MemoryOfGonePeersIsUsedAgainClean) {
  PeerStateRegistry registry;
  auto first = registry.Attach("app", {"a"});
  shm::PeerState* address = &(*first)[0];
  address->standing().fails = 7;
  first.reset();
  auto second = registry.Attach("app", {"b"});
  EXPECT_EQ(&(*second)[0], address);
  EXPECT_EQ((*second)[0].standing().fails, 0u);
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

TEST(PeerStates, ADeadWorkersRequestsAreNoLongerInFlight) {
  PeerStateRegistry registry;
  const auto states =
      registry.Attach("app", UpstreamGroup::PeerIdentities(Servers({Server(8081), Server(8082)})));
  shm::PeerState& state = (*states)[0];
  {
    const PeerStates::Guard guard(*states);
    EXPECT_TRUE(PeerStates::AddInflight(state, 3, 1000));
    EXPECT_TRUE(PeerStates::AddInflight(state, 3, 2000));
    EXPECT_TRUE(PeerStates::AddInflight(state, 4, 3000));
  }
  EXPECT_EQ(state.inflight, 3u);
  EXPECT_EQ(state.inflight_since_ms, 6000u);
  EXPECT_TRUE(registry.ForgetWorker(3));
  EXPECT_EQ(state.inflight, 1u);
  const PeerStates::Guard guard(*states);
  PeerStates::DropInflight(state, 3, 1000);  // of the forgotten slot
  EXPECT_EQ(state.inflight, 1u);
  PeerStates::DropInflight(state, 4, 3000);
  EXPECT_EQ(state.inflight, 0u);
  EXPECT_EQ(state.inflight_since_ms, 0u);  // whatever the loss has left in it
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

// An old and a new binary: each has states, locks and slots of its own, and both one book.
class TwoBinaries : public testing::Test {
 protected:
  static constexpr uint32_t kOld = 1, kNew = 65, kThird = 129;

  struct Binary {
    Binary(std::byte* memory, uint32_t id) : book(memory, shm::PeerBook::Bytes()) {
      book.Join(id);
      registry.SetBook(&book);
    }
    shm::PeerBook book;
    PeerStateRegistry registry;
  };

  std::byte* Memory() { return memory_.data(); }
  void StartNew() {
    old_.book.Admit(kNew);
    new_ = std::make_unique<Binary>(Memory(), kNew);
  }
  std::unique_ptr<PeerStates> Attach(Binary& binary, const conf::Upstream& upstream) {
    return binary.registry.Attach("app", UpstreamGroup::PeerIdentities(upstream));
  }
  // One more request at that peer, for as long as the fixture lives; false: it takes none.
  static bool Hold(Fixture& f, size_t peer) {
    PeerSelection selection;
    f.group.Begin(selection);
    return f.group.TryPeer(selection, &f.group.peers()[peer], f.now) != nullptr;
  }

  shm::Zone memory_ = std::move(*shm::Zone::Nameless(shm::PeerBook::Bytes()));
  Binary old_{Memory(), kOld};
  std::unique_ptr<Binary> new_;
};

TEST_F(TwoBinaries, HaveOneLimit) {
  auto upstream = Servers({Server(8081), Server(8082)});
  upstream.servers[0].max_conns = 2;
  const auto states = Attach(old_, upstream);
  Fixture before(upstream, states.get(), 1);
  EXPECT_TRUE(Hold(before, 0));  // and what begins before there is another binary
  StartNew();
  const auto new_states = Attach(*new_, upstream);
  Fixture after(upstream, new_states.get(), 1);
  EXPECT_EQ(after.group.peers()[0].conns(), 1u);
  EXPECT_TRUE(Hold(after, 0));
  EXPECT_FALSE(Hold(after, 0));
  EXPECT_FALSE(Hold(before, 0));
  EXPECT_EQ(before.Sequence(3), "222");
  EXPECT_EQ(before.group.peers()[0].conns(), 2u);
  EXPECT_EQ((*new_states)[0].conns, 1u);

  EXPECT_TRUE(old_.registry.ForgetWorker(1));
  EXPECT_EQ(after.group.peers()[0].conns(), 1u);
  EXPECT_TRUE(Hold(after, 0));
}

TEST_F(TwoBinaries, CountForLeastConn) {
  auto upstream = Servers({Server(8081), Server(8082)});
  upstream.method = conf::BalanceMethod::kLeastConn;
  const auto states = Attach(old_, upstream);
  Fixture before(upstream, states.get(), 1);
  EXPECT_TRUE(Hold(before, 0));
  EXPECT_TRUE(Hold(before, 0));
  StartNew();
  const auto new_states = Attach(*new_, upstream);
  Fixture after(upstream, new_states.get(), 1);
  EXPECT_EQ(after.Sequence(3), "222");
}

TEST_F(TwoBinaries, OneThatHasGoneHasNone) {
  const auto upstream = Servers({Server(8081), Server(8082)});
  const auto states = Attach(old_, upstream);
  Fixture before(upstream, states.get(), 1);
  EXPECT_TRUE(Hold(before, 0));
  StartNew();
  const auto new_states = Attach(*new_, upstream);
  Fixture after(upstream, new_states.get(), 1);
  new_->book.KeepOnlyOwn();
  EXPECT_EQ(after.group.peers()[0].conns(), 0u);
  EXPECT_TRUE(Hold(before, 0));  // a worker without a master goes on for a while
  EXPECT_EQ(after.group.peers()[0].conns(), 0u);
  EXPECT_TRUE(Hold(after, 0));

  new_->book.Admit(kThird);  // on the side that the first one had
  Binary third(Memory(), kThird);
  const auto third_states = Attach(third, upstream);
  Fixture last(upstream, third_states.get(), 1);
  EXPECT_EQ(last.group.peers()[0].conns(), 1u);
  EXPECT_TRUE(Hold(before, 0));
  EXPECT_EQ(after.group.peers()[0].conns(), 1u);
  EXPECT_TRUE(Hold(last, 0));
  EXPECT_EQ(after.group.peers()[0].conns(), 2u);
}

TEST_F(TwoBinaries, ThinkTheSameOfAServer) {
  const auto upstream = Servers({Server(8081), Server(8082)});
  const auto states = Attach(old_, upstream);
  Fixture before(upstream, states.get(), 1);
  before.Fail(0);
  StartNew();
  const auto new_states = Attach(*new_, upstream);
  (*new_states)[0].standing().fails = 7;  // as notes that are out of date may say
  Fixture after(upstream, new_states.get(), 1);
  EXPECT_EQ((*new_states)[0].standing().fails, 1u);
  EXPECT_EQ(after.Sequence(3), "222");
  (*states)[0].standing().fails = 0;
  EXPECT_EQ(after.Sequence(4), "1212");
  after.Fail(1);
  EXPECT_EQ(before.Sequence(3), "111");
  shm::BeginDrain((*new_states)[0].standing(), 0);
  EXPECT_TRUE(before.group.peers()[0].draining());
}

TEST_F(TwoBinaries, OneWithoutADrainEndsNotTheOthers) {
  const auto upstream = Servers({Server(8081), Server(8082)});
  auto draining = upstream;
  draining.servers[0].drain = draining.servers[1].drain = true;
  draining.servers[0].drain_timeout = 1h;
  const auto states = Attach(old_, draining);
  Fixture before(draining, states.get(), 1);
  const uint64_t until = (*states)[0].standing().drain_until_ms;
  EXPECT_NE(until, 0u);
  StartNew();
  const auto new_states = Attach(*new_, upstream);
  Fixture after(upstream, new_states.get(), 1);
  EXPECT_EQ((*states)[0].standing().drain_until_ms, until);
  new_->book.KeepOnlyOwn();
  after.group.AdoptDrains();
  EXPECT_EQ((*states)[0].standing().drain_until_ms, 0u);
  before.group.AdoptDrains();  // a worker without a master
  EXPECT_EQ((*states)[0].standing().drain_until_ms, 0u);
}

TEST_F(TwoBinaries, OneThatGoesLeavesWhatItHasLearned) {
  const auto upstream = Servers({Server(8081), Server(8082)});
  const auto states = Attach(old_, upstream);
  Fixture before(upstream, states.get(), 1);
  StartNew();
  const auto new_states = Attach(*new_, upstream);
  Fixture(upstream, new_states.get(), 1).Fail(0);
  old_.book.KeepOnlyOwn();
  EXPECT_EQ(before.Sequence(3), "222");
}

// Its address may be somebody else's by now.
TEST_F(TwoBinaries, ANewOneLearnsNothingOfAServerThatHasLeft) {
  const auto upstream = Servers({Server(8081), Server(8082)});
  auto states = Attach(old_, upstream);
  Fixture(upstream, states.get(), 1).Fail(0);
  states.reset();
  old_.registry.TellUsedPlaces();
  StartNew();
  const auto new_states = Attach(*new_, upstream);
  Fixture after(upstream, new_states.get(), 1);
  EXPECT_EQ(after.Sequence(4), "1212");

  states = Attach(old_, upstream);
  Fixture back(upstream, states.get(), 1);
  EXPECT_EQ(&(*states)[0].standing(), &(*new_states)[0].standing());
}

TEST_F(TwoBinaries, PeersOfOneAddressHavePlacesOfTheirOwn) {
  const auto upstream = Servers({Server(8081), Server(8081)});
  const auto states = Attach(old_, upstream);
  Fixture before(upstream, states.get(), 1);
  EXPECT_NE((*states)[0].place, (*states)[1].place);
  EXPECT_NE((*states)[0].place, 0u);
}

TEST_F(TwoBinaries, PlacesThatNobodyHasAreGivenAgain) {
  std::atomic<uint32_t> kept{0}, other{0};
  EXPECT_NE(old_.book.Find(7, kept, {}), 0u);
  uint64_t key = 100;
  while (old_.book.Find(key++, other, {}) != 0) {
  }
  EXPECT_EQ(key, 100 + shm::PeerBook::kPlaces);
  EXPECT_TRUE(old_.book.crowded());
  old_.book.Admit(kNew);
  old_.book.Collect({&kept});
  EXPECT_EQ(old_.book.Find(key, other, {}), 0u) << "another binary may know them";
  old_.book.KeepOnlyOwn();
  old_.book.Collect({&kept});
  EXPECT_FALSE(old_.book.crowded());
  EXPECT_NE(old_.book.Find(key, other, {}), 0u);
  const uint32_t before = kept;
  EXPECT_EQ(old_.book.Find(7, kept, {}), before);
}

}  // namespace
}  // namespace limpet::worker
