#include "master/listeners.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.h"

namespace limpet::master {
namespace {

SocketAddress Loopback(uint16_t port) { return *SocketAddress::ParseIp("127.0.0.1", port); }

uint16_t PortOf(int fd) {
  SocketAddress address;
  socklen_t size = address.capacity();
  ::getsockname(fd, address.get(), &size);
  return address.port();
}

uint16_t FreePort() {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM, 0));
  const SocketAddress any = Loopback(0);
  ::bind(fd.get(), any.get(), any.size());
  return PortOf(fd.get());
}

class ListenersTest : public ::testing::Test {
 protected:
  ListenersTest() { config_.http = std::make_unique<conf::Http>(); }

  conf::Listen& Listen(const SocketAddress& address) {
    conf::ListenGroup group;
    group.listen.address = address;
    config_.http->listens.push_back(std::move(group));
    return config_.http->listens.back().listen;
  }

  Result<Listeners> Open(const Listeners& before = {}) {
    return Listeners::Open(config_, before, Listeners::OnBusy::kFail, log_);
  }

  bool Accepts(const SocketAddress& address) {
    const UniqueFd fd(::socket(address.family(), SOCK_STREAM, 0));
    return ::connect(fd.get(), address.get(), address.size()) == 0;
  }

  conf::Config config_;
  Log log_;
};

TEST_F(ListenersTest, HandsEqualAddressesOnOverAReload) {
  const SocketAddress address = Loopback(FreePort());
  Listen(address);
  auto first = Open();
  ASSERT_TRUE(first) << first.error().message;
  Listen(Loopback(FreePort()));
  auto second = Open(*first);
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(first->ForWorker(0, 3)[0][0], second->ForWorker(0, 3)[0][0]);
  first->Close();
  EXPECT_TRUE(Accepts(address));
}

TEST_F(ListenersTest, ClosesWhatNobodyNamesAnyMore) {
  const SocketAddress address = Loopback(FreePort());
  Listen(address);
  auto first = Open();
  ASSERT_TRUE(first);
  config_.http->listens.clear();
  auto second = Open(*first);
  ASSERT_TRUE(second);
  first->Close();
  EXPECT_FALSE(Accepts(address));
}

TEST_F(ListenersTest, SaysThatAnAddressIsBusy) {
  const SocketAddress address = Loopback(FreePort());
  Listen(address);
  const auto holder = Open();
  ASSERT_TRUE(holder);
  const auto busy = Open();
  ASSERT_FALSE(busy);
  EXPECT_EQ(busy.error().code.value(), EADDRINUSE);
  EXPECT_EQ(busy.error().message,
            "bind() to " + address.ToString() + " failed (98: Address already in use)");
}

TEST_F(ListenersTest, WithReuseportEachWorkerHasItsOwn) {
  config_.worker_processes = 3;
  Listen(Loopback(FreePort())).reuseport = true;
  auto listeners = Open();
  ASSERT_TRUE(listeners) << listeners.error().message;
  EXPECT_NE(listeners->ForWorker(0, 3)[0][0], listeners->ForWorker(1, 3)[0][0]);
  EXPECT_NE(listeners->ForWorker(1, 3)[0][0], listeners->ForWorker(2, 3)[0][0]);
  EXPECT_EQ(PortOf(listeners->ForWorker(0, 3)[0][0]), PortOf(listeners->ForWorker(2, 3)[0][0]));
}

TEST_F(ListenersTest, AUnixSocketsFileGoesWithItAndAStaleOneIsNoObstacle) {
  const std::string path = ::testing::TempDir() + "limpet-listeners-" + std::to_string(::getpid());
  const SocketAddress address = SocketAddress::Unix(path);
  {
    const UniqueFd stale(::socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(::bind(stale.get(), address.get(), address.size()), 0);
  }
  Listen(address);
  {
    auto listeners = Open();
    ASSERT_TRUE(listeners) << listeners.error().message;
    EXPECT_TRUE(Accepts(address));
  }
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

}  // namespace
}  // namespace limpet::master
