#include "worker/upstream/pool.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>

#include "tests/worker/upstream/group_fixture.h"
#include "worker/net/plain_transport.h"

namespace limpet::worker {
namespace {

class PoolTest : public testing::Test {
 protected:
  PoolTest() : fixture_(Servers({Server(8081), Server(8082)})) { fixture_.conf.keepalive = 2; }

  // A new connection, as far as the pool can tell; its other end is kept in others_.
  PooledConnection Connection(uint32_t requests = 1) {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    others_.emplace_back(fds[1]);
    return {PlainTransport::Adopt(loop_, UniqueFd(fds[0])), loop_.NowMs(), requests};
  }
  const Peer& peer(size_t i) { return fixture_.group.peers()[i]; }
  bool OtherSeesEnd(size_t i) {
    char byte;
    const ssize_t n = ::recv(others_[i].get(), &byte, 1, 0);
    return n == 0 || (n < 0 && errno == ECONNRESET);
  }
  void RunFor(uint64_t ms) {
    Timer timer(loop_, Callback::To<&PoolTest::Tick>(this));
    timer.Arm(ms);
    for (ticked_ = false; !ticked_;) loop_.RunOnce();
  }
  void Tick() { ticked_ = true; }

  Loop loop_;
  Fixture fixture_;
  UpstreamPool& pool() {
    if (!pool_) pool_ = std::make_unique<UpstreamPool>(loop_, fixture_.conf);
    return *pool_;
  }
  std::vector<UniqueFd> others_;

 private:
  std::unique_ptr<UpstreamPool> pool_;
  bool ticked_ = false;
};

TEST_F(PoolTest, GivesBackTheNewestOfTheSamePeer) {
  PooledConnection a = Connection();
  PooledConnection b = Connection();
  const Transport* newest = b.transport.get();
  pool().Put(peer(0), std::move(a));
  pool().Put(peer(0), std::move(b));
  EXPECT_FALSE(pool().Take(peer(1)).transport);
  const PooledConnection taken = pool().Take(peer(0));
  EXPECT_EQ(taken.transport.get(), newest);
  EXPECT_EQ(pool().idle(), 1u);
}

TEST_F(PoolTest, ClosesTheLeastRecentlyUsedWhenFull) {
  for (int i = 0; i < 3; ++i) pool().Put(peer(0), Connection());
  EXPECT_EQ(pool().idle(), 2u);
  EXPECT_TRUE(OtherSeesEnd(0));
  EXPECT_FALSE(OtherSeesEnd(1));
  EXPECT_FALSE(OtherSeesEnd(2));
}

TEST_F(PoolTest, DropsAConnectionThatEnds) {
  pool().Put(peer(0), Connection());
  others_[0].Reset();
  RunFor(5);
  EXPECT_EQ(pool().idle(), 0u);
  EXPECT_FALSE(pool().Take(peer(0)).transport);
}

TEST_F(PoolTest, DropsAConnectionOnWhichBytesComeUnasked) {
  pool().Put(peer(0), Connection());
  ASSERT_EQ(::send(others_[0].get(), "HTTP/1.1 408", 12, 0), 12);
  RunFor(5);
  EXPECT_EQ(pool().idle(), 0u);
  EXPECT_TRUE(OtherSeesEnd(0));
}

TEST_F(PoolTest, DoesNotKeepBeyondRequestsAndTime) {
  fixture_.conf.keepalive_requests = 10;
  pool().Put(peer(0), Connection(10));
  EXPECT_EQ(pool().idle(), 0u);
  pool().Put(peer(0), Connection(9));
  EXPECT_EQ(pool().idle(), 1u);
  PooledConnection old = Connection();
  old.created_ms -= 3'600'001;
  pool().Put(peer(0), std::move(old));
  EXPECT_EQ(pool().idle(), 1u);
}

TEST_F(PoolTest, ClosesIdleConnectionsAfterTheirTimeout) {
  fixture_.conf.keepalive_timeout = 20ms;
  pool().Put(peer(0), Connection());
  EXPECT_EQ(pool().idle(), 1u);
  for (int i = 0; i < 1000 && pool().idle() > 0; ++i) RunFor(10);
  EXPECT_EQ(pool().idle(), 0u);
}

TEST_F(PoolTest, LocalKeepsLocationsApart) {
  fixture_.conf.keepalive_local = true;
  const int a = 0;
  const int b = 0;
  pool().Put(peer(0), Connection(), &a);
  EXPECT_FALSE(pool().Take(peer(0), &b).transport);
  EXPECT_TRUE(pool().Take(peer(0), &a).transport);
}

TEST_F(PoolTest, KeepsNothingOnceClosed) {
  pool().Put(peer(0), Connection());
  pool().CloseAll();
  pool().Put(peer(0), Connection());
  EXPECT_EQ(pool().idle(), 0u);
  EXPECT_TRUE(OtherSeesEnd(0));
  EXPECT_TRUE(OtherSeesEnd(1));
}

TEST_F(PoolTest, ZeroKeepsNothing) {
  fixture_.conf.keepalive = 0;
  pool().Put(peer(0), Connection());
  EXPECT_EQ(pool().idle(), 0u);
}

}  // namespace
}  // namespace limpet::worker
