// Drains at run time and by configuration, and mandatory checks, as a group sees them.
#include <gtest/gtest.h>

#include "base/clock.h"
#include "shm/peer_state_registry.h"
#include "tests/worker/upstream/group_fixture.h"

namespace limpet::worker {
namespace {

std::vector<conf::UpstreamServer> Two() { return {Server(8081), Server(8082)}; }

PeerCondition ConditionOfFirst(Fixture& f, bool bound) {
  PeerSelection selection;
  f.group.Begin(selection);
  return f.group.Condition(selection, f.group.peers()[0], bound, f.now);
}

TEST(Drain, LeavesAPeerToItsSessions) {
  Fixture f(Servers(Two()));
  Peer& first = f.group.peers()[0];
  shm::BeginDrain(first.state->standing(), 0);
  EXPECT_EQ(f.Sequence(4), "2222");
  EXPECT_EQ(f.Request({}, &first), 1);
  EXPECT_EQ(ConditionOfFirst(f, false), PeerCondition::kDrained);
  EXPECT_EQ(ConditionOfFirst(f, true), PeerCondition::kReady);
  shm::EndDrain(first.state->standing());
  EXPECT_NE(f.Sequence(4).find('1'), std::string::npos);
}

TEST(Drain, IsOverAtItsDeadline) {
  Fixture f(Servers(Two()));
  Peer& first = f.group.peers()[0];
  shm::BeginDrain(first.state->standing(), f.now + 1000);
  f.now += 999;
  EXPECT_EQ(f.Request({}, &first), 1);
  f.now += 1;
  EXPECT_EQ(f.Request({}, &first), 2);
  EXPECT_EQ(ConditionOfFirst(f, true), PeerCondition::kDrained);
}

TEST(Drain, OfTheOnlyPeerIsKeptToo) {
  Fixture f(Servers({Server(8081)}));
  Peer& only = f.group.peers()[0];
  shm::BeginDrain(only.state->standing(), f.now + 1000);
  EXPECT_EQ(f.Request(), 0);
  EXPECT_EQ(f.Request({}, &only), 1);
  f.now += 1000;
  EXPECT_EQ(f.Request({}, &only), 0);
}

TEST(Drain, DeadlineOfTheConfigurationRunsOnOverReloads) {
  auto servers = Two();
  servers[0].drain = true;
  servers[0].drain_timeout = 1h;
  const conf::Upstream draining = Servers(servers);
  shm::PeerStateRegistry registry;
  const auto ids = UpstreamGroup::PeerIdentities(draining);
  const auto before = registry.Attach("app", ids);
  const Fixture first(draining, before.get());
  const uint64_t until = (*before)[0].standing().drain_until_ms;
  EXPECT_GT(until, MonotonicMs() + 3'500'000);
  const auto after = registry.Attach("app", ids);
  const Fixture second(draining, after.get());
  EXPECT_EQ((*after)[0].standing().drain_until_ms, until);
  const auto back = registry.Attach("app", ids);
  const Fixture third(Servers(Two()), back.get());
  EXPECT_EQ((*back)[0].standing().drain_until_ms, 0u);
}

// A worker of an older configuration makes a list of its peers whenever names have given others.
TEST(Drain, IsWhatTheNewestConfigurationSays) {
  auto servers = Two();
  servers[0].drain = true;
  servers[0].drain_timeout = 1h;
  shm::PeerStateRegistry registry;
  const auto ids = UpstreamGroup::PeerIdentities(Servers(servers));
  const auto before = registry.Attach("app", ids);
  const auto after = registry.Attach("app", ids);
  const Fixture now(Servers(servers), after.get());
  const uint64_t until = (*after)[0].standing().drain_until_ms;
  const Fixture old(Servers(Two()), before.get());
  EXPECT_EQ((*before)[0].standing().drain_until_ms, until);

  auto refused = registry.Attach("app", ids);
  EXPECT_FALSE(after->is_newest());
  refused.reset();
  EXPECT_TRUE(after->is_newest());
  EXPECT_FALSE(before->is_newest());
}

TEST(Drain, AtRunTimeOutlivesAReload) {
  shm::PeerStateRegistry registry;
  const auto ids = UpstreamGroup::PeerIdentities(Servers(Two()));
  const auto before = registry.Attach("app", ids);
  shm::BeginDrain((*before)[0].standing(), 0);
  const auto after = registry.Attach("app", ids);
  Fixture f(Servers(Two()), after.get());
  EXPECT_EQ(f.Sequence(3), "222");
}

TEST(Drain, AtRunTimeHasItsOwnEnd) {
  auto servers = Two();
  servers[0].drain = true;
  servers[0].drain_timeout = 1h;
  Fixture f(Servers(servers));
  shm::PeerStanding& standing = f.group.peers()[0].state->standing();
  shm::BeginDrain(standing, 0, true);
  f.group.AdoptDrains();
  EXPECT_EQ(standing.drain_until_ms, 0u) << "none, as it was asked for";
  EXPECT_NE(standing.flags & shm::kPeerDrainKeeps, 0u);
}

TEST(MandatoryChecks, KeepAPeerOutUntilTheyHavePassedOnce) {
  conf::Upstream upstream = Servers(Two());
  upstream.mandatory = true;
  Fixture f(upstream);
  EXPECT_EQ(f.Request(), 0);
  f.group.peers()[0].state->RaisePassed(shm::PeerState::kPassedBefore);
  EXPECT_EQ(f.Sequence(3), "111");
  EXPECT_FALSE(f.group.peers()[0].state->HasPassedIn(1)) << "an earlier generation, or none";
}

TEST(MandatoryChecks, ThatAreNewLeaveInUseWhatWasInUse) {
  shm::PeerStateRegistry registry;
  conf::Upstream upstream = Servers({Server(8081)});
  const auto before = registry.Attach("app", UpstreamGroup::PeerIdentities(upstream));
  const Fixture first(upstream, before.get());
  upstream = Servers(Two());
  upstream.mandatory = true;
  const auto after = registry.Attach("app", UpstreamGroup::PeerIdentities(upstream));
  Fixture second(upstream, after.get());
  EXPECT_EQ(second.Sequence(3), "111");
}

TEST(MaxConns, TellsFullFromDown) {
  auto servers = Two();
  servers[0].max_conns = servers[1].max_conns = 1;
  Fixture f(Servers(servers));
  PeerSelection held, other, none;
  for (PeerSelection* selection : {&held, &other, &none}) f.group.Begin(*selection);
  EXPECT_FALSE(f.group.AnyFull(none, f.now));
  f.group.Choose(held, nullptr, f.now);
  f.group.Choose(other, nullptr, f.now);
  EXPECT_EQ(f.group.Choose(none, nullptr, f.now), nullptr);
  EXPECT_TRUE(f.group.AnyFull(none, f.now));
  for (Peer& peer : f.group.peers()) peer.state->standing().flags = shm::kPeerDown;
  EXPECT_FALSE(f.group.AnyFull(none, f.now));
  f.group.Done(held, Outcome::kOk, f.now);
  f.group.Done(other, Outcome::kOk, f.now);
}

}  // namespace
}  // namespace limpet::worker
