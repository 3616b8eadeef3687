// Idle sessions go where the plan says, each once, and those that are used do not.
#include "worker/rebalance/idle_moves.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/clock.h"
#include "tests/conf/support.h"
#include "tests/shm/table_fixture.h"

namespace limpet::worker {
namespace {

using testing::ElementsAre;

constexpr uint64_t kIdleMs = 60'000;

class IdleMovesTest : public testing::Test {
 protected:
  IdleMovesTest() : memory_(1 << 20, {.timeout = std::chrono::hours(1)}) {
    for (const char* name : {"a", "b", "c"}) index_.push_back(memory_.table.PeerIndex(name));
  }

  // So many sessions of a server that were last used so long ago.
  void Learn(size_t server, uint64_t count, uint64_t idle_ms = 2 * kIdleMs) {
    memory_.now = BootMs() - idle_ms;
    for (uint64_t i = 0; i < count; ++i) memory_.Learn(next_++, index_[server]);
  }
  std::vector<uint64_t> Live() const {
    std::vector<uint64_t> live;
    for (const uint16_t index : index_) live.push_back(memory_.table.PeerLive(index));
    return live;
  }
  std::vector<MoveServer> Servers() const {
    std::vector<MoveServer> servers;
    for (const uint16_t index : index_)
      servers.push_back({.name = memory_.table.PeerName(index),
                         .index = index,
                         .load = {.sessions = memory_.table.PeerLive(index)}});
    return servers;
  }
  // The whole table once.
  uint64_t Run(IdleMoves& moves, bool dry = false) {
    uint64_t moved = 0;
    while (moves.more()) {
      for (const MoveCandidate& candidate : moves.Find(64, kIdleMs))
        moved += dry || moves.Move(candidate) ? 1 : 0;
    }
    EXPECT_EQ(memory_.table.Check(BootMs()), "");
    return moved;
  }

  shm::TestTable memory_;
  std::vector<uint16_t> index_;
  uint64_t next_ = 0;
};

TEST_F(IdleMovesTest, MakesLoadsEven) {
  Learn(0, 600);
  Learn(1, 600);
  IdleMoves moves(memory_.table, nullptr);
  moves.SetServers(Servers());
  moves.PlanEven();
  EXPECT_EQ(Run(moves), 400u);
  EXPECT_THAT(Live(), ElementsAre(400, 400, 400));
  EXPECT_EQ(memory_.table.Sum().moved, 400u);
  EXPECT_EQ(moves.servers()[0].given, 200u);
  EXPECT_EQ(moves.servers()[2].taken, 400u);
  for (uint64_t i = 0; i < next_; ++i) {
    const shm::Found found = memory_.table.Peek(memory_.Key(i), BootMs());
    ASSERT_EQ(found.result, shm::LookupResult::kHit);
    EXPECT_GE(found.idle.count(), 2 * static_cast<int64_t>(kIdleMs)) << "a move is no use";
  }
}

TEST_F(IdleMovesTest, ADryRunSaysWhatWouldMove) {
  Learn(0, 300);
  Learn(1, 100);
  std::vector<uint64_t> given, taken;
  for (const bool dry : {true, false}) {
    IdleMoves moves(memory_.table, nullptr);
    moves.SetServers(Servers());
    moves.PlanEven();
    EXPECT_EQ(Run(moves, dry), 166u);
    for (const MoveServer& server : moves.servers()) {
      given.push_back(server.given);
      taken.push_back(server.taken);
    }
    EXPECT_EQ(Live() == (std::vector<uint64_t>{300, 100, 0}), dry);
  }
  EXPECT_THAT(given, ElementsAre(166, 0, 0, 166, 0, 0));
  EXPECT_THAT(taken, ElementsAre(0, 33, 133, 0, 33, 133));
}

TEST_F(IdleMovesTest, WhatIsUsedStays) {
  Learn(0, 200, kIdleMs / 2);
  Learn(0, 10);
  IdleMoves moves(memory_.table, nullptr);
  moves.SetServers(Servers());
  moves.PlanEven();
  EXPECT_EQ(Run(moves), 10u);
  EXPECT_EQ(Live()[0], 200u);
}

TEST_F(IdleMovesTest, WhatIsOverStays) {
  Learn(0, 100, 2 * 3'600'000);
  IdleMoves moves(memory_.table, nullptr);
  moves.SetServers(Servers());
  moves.PlanEven();
  EXPECT_EQ(Run(moves), 0u);
}

// Between the look at a session and its move.
TEST_F(IdleMovesTest, WhoeverUsesASessionInBetweenWins) {
  Learn(0, 3);
  IdleMoves moves(memory_.table, nullptr);
  moves.SetServers(Servers());
  moves.servers()[0].load.role = LoadRole::kLeaves;
  moves.servers()[0].gives = 3;
  std::vector<MoveCandidate> all;
  while (moves.more())
    for (const MoveCandidate& one : moves.Find(64, kIdleMs)) all.push_back(one);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_TRUE(memory_.table.Touch(memory_.Key(0), BootMs()));
  EXPECT_TRUE(memory_.table.Forget(memory_.Key(1), BootMs()));
  uint64_t moved = 0;
  for (const MoveCandidate& one : all) moved += moves.Move(one) ? 1 : 0;
  EXPECT_EQ(moved, 1u);
  for (const MoveCandidate& one : all) EXPECT_FALSE(moves.Move(one)) << "none moves twice";
  EXPECT_EQ(memory_.table.Peek(memory_.Key(0), BootMs()).peer, index_[0]);
  EXPECT_EQ(memory_.table.Peek(memory_.Key(1), BootMs()).result, shm::LookupResult::kMiss);
  EXPECT_NE(memory_.table.Peek(memory_.Key(2), BootMs()).peer, index_[0]);
}

TEST_F(IdleMovesTest, AServerThatLeavesGivesToTheLeastLoaded) {
  Learn(0, 90);
  Learn(1, 40);
  Learn(2, 10);
  IdleMoves moves(memory_.table, nullptr);
  moves.SetServers(Servers());
  moves.servers()[0].load.role = LoadRole::kLeaves;
  moves.servers()[0].gives = 50;
  EXPECT_EQ(Run(moves), 50u);
  EXPECT_THAT(Live(), ElementsAre(40, 50, 50));
}

TEST_F(IdleMovesTest, NobodyTakesForAServerThatIsAway) {
  Learn(0, 90);
  IdleMoves moves(memory_.table, nullptr);
  std::vector<MoveServer> servers = Servers();
  servers[1].load.role = servers[2].load.role = LoadRole::kAway;
  servers[0].load.role = LoadRole::kLeaves;
  servers[0].gives = 90;
  moves.SetServers(servers);
  EXPECT_EQ(Run(moves), 0u);
}

TEST_F(IdleMovesTest, ARetiredServerTakesNone) {
  Learn(0, 10);
  IdleMoves moves(memory_.table, nullptr);
  moves.SetServers(Servers());
  moves.PlanEven();
  memory_.table.RetirePeer(index_[1]);
  memory_.table.RetirePeer(index_[2]);
  EXPECT_EQ(Run(moves), 0u);
  EXPECT_EQ(Live()[0], 10u);
}

TEST(LoadsOf, SaysWhoGivesAndTakes) {
  const auto config = conf::MustLoad(conf::InHttp(
      "upstream u { zone u 64k; server 127.0.0.1:1 route=up weight=3; "
      "server 127.0.0.1:2 route=down down; server 127.0.0.1:3 route=drains drain; "
      "server 127.0.0.1:4 route=leaves drain move=20/s; server 127.0.0.1:5 route=spare "
      "backup; server 127.0.0.1:6 route=failed; server 127.0.0.1:7 route=unknown; "
      "sticky learn create=$upstream_cookie_s lookup=$cookie_s zone=z:64k; }"));
  UpstreamGroup group(*config->http->upstreams[0], nullptr, 0);
  shm::TestTable memory(256 * 1024);
  for (const char* id : {"up", "down", "drains", "leaves", "spare", "failed"}) {
    const uint16_t index = memory.table.PeerIndex(id);
    memory.table.Learn(memory.Key(index), index, BootMs());
  }
  group.FindByServerId("failed")->state->standing().fails = 1;
  std::map<std::string, LoadRole> roles;
  for (const MoveServer& server : LoadsOf(group, memory.table)) {
    EXPECT_EQ(server.load.sessions, 1u) << server.name;
    EXPECT_EQ(server.load.weight, server.name == "127.0.0.1:1" ? 3 : 1);
    EXPECT_EQ(server.rate, server.name == "127.0.0.1:4" ? 20u : 0u);
    roles[server.name] = server.load.role;
  }
  const std::map<std::string, LoadRole> expected = {
      {"127.0.0.1:1", LoadRole::kShares}, {"127.0.0.1:2", LoadRole::kAway},
      {"127.0.0.1:3", LoadRole::kAway},   {"127.0.0.1:4", LoadRole::kLeaves},
      {"127.0.0.1:5", LoadRole::kAway},   {"127.0.0.1:6", LoadRole::kAway}};
  EXPECT_EQ(roles, expected);
  shm::BeginDrain(group.FindByServerId("up")->state->standing(), 0, false, 7);
  const auto servers = LoadsOf(group, memory.table);
  EXPECT_EQ(servers[0].load.role, LoadRole::kLeaves);
  EXPECT_EQ(servers[0].rate, 7u);
}

}  // namespace
}  // namespace limpet::worker
