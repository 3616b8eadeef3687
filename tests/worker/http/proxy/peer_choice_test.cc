#include "worker/http/proxy/peer_choice.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tests/worker/upstream/group_fixture.h"

namespace limpet::worker {
namespace {

using Busy = conf::SessionPolicy::Busy;
using Down = conf::SessionPolicy::Down;
using Kind = PeerChoice::Kind;

// Two servers with one place each; a session lives at the second.
class PeerChoiceTest : public testing::Test {
 protected:
  PeerChoiceTest() : conf_(Servers({Server(8081), Server(8082)})) {
    for (conf::UpstreamServer& server : conf_.servers) server.max_conns = 1;
    conf_.sticky.kind = conf::StickyKind::kLearn;
  }
  void Start() {
    upstream_ = std::make_unique<UpstreamRuntime>(loop_, conf_, nullptr, 0, StickySessions{});
  }
  Peer& peer(size_t i) { return upstream_->group.peers()[i]; }
  void Bind() {
    sticky_.id = "id";
    sticky_.has_key = true;
    sticky_.bound = &peer(1);
  }
  void Fill(size_t i) { peer(i).state->conns = 1; }
  void TakeDown(size_t i) { peer(i).state->standing().flags |= shm::kPeerDown; }
  PeerChoice Choose() {
    upstream_->group.Begin(selection_);
    return ChoosePeer(*upstream_, selection_, sticky_, 1'000'000);
  }
  void End() { upstream_->group.Done(selection_, Outcome::kOk, 1'000'000); }

  Loop loop_;
  conf::Upstream conf_;
  std::unique_ptr<UpstreamRuntime> upstream_;
  PeerSelection selection_;
  StickyState sticky_;
};

TEST_F(PeerChoiceTest, BalancesARequestWithoutASession) {
  Start();
  const PeerChoice choice = Choose();
  EXPECT_EQ(choice.kind, Kind::kPeer);
  EXPECT_EQ(choice.peer, &peer(0));
  EXPECT_EQ(selection_.current, choice.peer) << "it is accounted for";
  End();
}

TEST_F(PeerChoiceTest, SendsASessionHome) {
  Start();
  Bind();
  EXPECT_EQ(Choose().peer, &peer(1));
  EXPECT_EQ(sticky_.status, StickyStatus::kHit);
  End();
}

TEST_F(PeerChoiceTest, MovesASessionWhoseServerIsDown) {
  Start();
  Bind();
  TakeDown(1);
  EXPECT_EQ(Choose().peer, &peer(0));
  EXPECT_EQ(sticky_.status, StickyStatus::kRebound);
  EXPECT_FALSE(sticky_.temporary);
  End();
}

TEST_F(PeerChoiceTest, LetsAnotherStandIn) {
  conf_.sticky.policy.on_down = Down::kTemporary;
  Start();
  Bind();
  TakeDown(1);
  EXPECT_EQ(Choose().peer, &peer(0));
  EXPECT_TRUE(sticky_.temporary) << "the session stays where it is";
  End();
}

TEST_F(PeerChoiceTest, AnotherServerWithTheSessionsIdIsItsOwn) {
  for (const bool strict : {true, false}) {
    SCOPED_TRACE(strict);
    conf_.sticky.strict = strict;
    conf_.sticky.policy.on_down = strict ? Down::kRebind : Down::kTemporary;
    for (conf::UpstreamServer& server : conf_.servers) server.route = "shared";
    Start();
    Bind();
    TakeDown(1);
    EXPECT_EQ(Choose().peer, &peer(0));
    EXPECT_EQ(sticky_.status, StickyStatus::kHit);
    EXPECT_FALSE(sticky_.temporary);
    End();
  }
}

TEST_F(PeerChoiceTest, RefusesASessionByPolicy) {
  conf_.sticky.policy.on_down = Down::kFail;
  conf_.sticky.policy.down_code = 503;
  Start();
  Bind();
  TakeDown(1);
  const PeerChoice choice = Choose();
  EXPECT_EQ(choice.kind, Kind::kRefuse);
  EXPECT_EQ(choice.code, 503);
  EXPECT_TRUE(choice.by_policy);
}

TEST_F(PeerChoiceTest, MovesASessionWhoseServerIsFull) {
  Start();
  Bind();
  Fill(1);
  EXPECT_EQ(Choose().peer, &peer(0));
  EXPECT_EQ(sticky_.status, StickyStatus::kBusy);
  End();
}

TEST_F(PeerChoiceTest, WaitsForTheSessionsServer) {
  conf_.sticky.policy.on_busy = Busy::kQueue;
  conf_.queue.limit = 1;
  Start();
  Bind();
  Fill(1);
  EXPECT_EQ(Choose().kind, Kind::kWait);
  EXPECT_EQ(selection_.current, nullptr);
  peer(1).state->conns = 0;
  EXPECT_EQ(ChoosePeer(*upstream_, selection_, sticky_, 1'000'001).peer, &peer(1));
  End();
}

TEST_F(PeerChoiceTest, WaitsIfAllAreFullAndThereIsAQueue) {
  conf_.queue.limit = 1;
  Start();
  Fill(0);
  Fill(1);
  EXPECT_EQ(Choose().kind, Kind::kWait);
  peer(0).state->conns = 0;
  EXPECT_EQ(ChoosePeer(*upstream_, selection_, sticky_, 1'000'001).peer, &peer(0));
  End();
}

TEST_F(PeerChoiceTest, RefusesIfAllAreFullAndThereIsNone) {
  Start();
  Fill(0);
  Fill(1);
  const PeerChoice choice = Choose();
  EXPECT_EQ(choice.kind, Kind::kRefuse);
  EXPECT_EQ(choice.code, 502);
  EXPECT_FALSE(choice.by_policy);
}

TEST_F(PeerChoiceTest, DoesNotWaitForServersThatAreDown) {
  conf_.queue.limit = 1;
  Start();
  TakeDown(0);
  TakeDown(1);
  EXPECT_EQ(Choose().kind, Kind::kRefuse);
}

TEST_F(PeerChoiceTest, AsksAnotherAfterAFailure) {
  Start();
  Bind();
  ASSERT_EQ(Choose().peer, &peer(1));
  upstream_->group.Done(selection_, Outcome::kFailed, 1'000'000);
  EXPECT_EQ(ChoosePeer(*upstream_, selection_, sticky_, 1'000'001).peer, &peer(0));
  EXPECT_EQ(sticky_.status, StickyStatus::kRebound);
  End();
}

}  // namespace
}  // namespace limpet::worker
