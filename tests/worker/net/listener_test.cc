#include "worker/net/listener.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include "tests/worker/net/failing_calls.h"

namespace limpet::worker {
namespace {

class ListenerTest : public testing::Test, public ListenerHandler {
 protected:
  ListenerTest() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) {
    address_ = *SocketAddress::ParseIp("127.0.0.1", 0);
    EXPECT_EQ(::bind(fd_.get(), address_.get(), address_.size()), 0);
    socklen_t size = address_.capacity();
    EXPECT_EQ(::getsockname(fd_.get(), address_.get(), &size), 0);
    EXPECT_EQ(::listen(fd_.get(), 128), 0);
  }
  void OnAccepted(Listener&, UniqueFd fd, const SocketAddress& client) override {
    accepted_.push_back(std::move(fd));
    clients_.push_back(client.ToString());
    if (accepted_.size() == wanted_) loop_.Stop();
  }
  void Connect(size_t n) {
    for (size_t i = 0; i < n; ++i) {
      ours_.emplace_back(::socket(AF_INET, SOCK_STREAM, 0));
      ASSERT_EQ(::connect(ours_.back().get(), address_.get(), address_.size()), 0);
    }
  }

  Loop loop_;
  Log log_;
  UniqueFd fd_;
  SocketAddress address_;
  size_t wanted_ = 0;
  std::vector<UniqueFd> accepted_;
  std::vector<UniqueFd> ours_;
  std::vector<std::string> clients_;
};

TEST_F(ListenerTest, TakesOnePerWakeUpMoreWhereMoreWaitAndAllInTheEnd) {
  Listener listener(loop_, fd_.get(), address_, *this, log_);
  listener.Start();
  Connect(60);
  std::vector<size_t> taken;
  for (int i = 0; i < 24; ++i) {
    const size_t before = accepted_.size();
    loop_.RunOnce();
    taken.push_back(accepted_.size() - before);
  }
  std::vector<size_t> expected(8, 1);
  expected.insert(expected.end(), 8, 2);
  expected.insert(expected.end(), 8, 4);
  EXPECT_EQ(taken, expected);
  wanted_ = 60;
  loop_.Run();
  Connect(1);  // the next wake-up looks for eight, and finds that one is usual again
  loop_.RunOnce();
  Connect(2);
  loop_.RunOnce();
  EXPECT_EQ(accepted_.size(), 62u);
  SocketAddress mine;
  socklen_t size = mine.capacity();
  ASSERT_EQ(::getsockname(ours_[0].get(), mine.get(), &size), 0);
  EXPECT_EQ(clients_[0], mine.ToString());
}

TEST_F(ListenerTest, StoppedItAcceptsNothing) {
  Listener listener(loop_, fd_.get(), address_, *this, log_);
  listener.Start();
  listener.Stop();
  Connect(1);
  Timer timer(loop_, Callback::To<&Loop::Stop>(&loop_));
  timer.Arm(20);
  loop_.Run();
  EXPECT_TRUE(accepted_.empty());
}

TEST_F(ListenerTest, PausesWhenDescriptorsRunOut) {
  Listener listener(loop_, fd_.get(), address_, *this, log_);
  listener.Start();
  Connect(1);
  loop_.RunOnce();
  Connect(1);
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &old), 0);
  const rlimit none{0, old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  loop_.RunOnce();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &old), 0);
  EXPECT_EQ(accepted_.size(), 1u);
  wanted_ = 2;
  loop_.Run();  // it resumes by itself
  EXPECT_EQ(accepted_.size(), 2u);
}

// The connection stays in the queue: whoever looks again at once finds the same, without an end.
TEST_F(ListenerTest, PausesWhenTheSystemHasNoMemory) {
  for (const int error : {ENOBUFS, ENOMEM}) {
    Listener listener(loop_, fd_.get(), address_, *this, log_);
    listener.Start();
    Connect(1);
    failing_accept4.error = error;
    failing_accept4.calls = 0;
    Timer timer(loop_, Callback::To<&Loop::Stop>(&loop_));
    timer.Arm(20);
    while (failing_accept4.calls == 0) loop_.RunOnce();
    for (int i = 0; i < 3 && timer.armed(); ++i) loop_.RunOnce();
    failing_accept4.error = 0;
    EXPECT_EQ(failing_accept4.calls, 1);
    accepted_.clear();
    while (accepted_.empty()) loop_.RunOnce();  // it resumes by itself
  }
}

// As after a pause, in the same want of memory: a listener that did not try again would be deaf for
// as long as its worker lives.
TEST_F(ListenerTest, TriesAgainWhenItCannotBeWatched) {
  Listener listener(loop_, fd_.get(), address_, *this, log_);
  Connect(1);
  failing_epoll_ctl.error = ENOMEM;
  failing_epoll_ctl.calls = 0;
  listener.Start();
  EXPECT_EQ(failing_epoll_ctl.calls, 1);
  failing_epoll_ctl.error = 0;
  wanted_ = 1;
  Timer timer(loop_, Callback::To<&Loop::Stop>(&loop_));
  timer.Arm(5000);
  loop_.Run();
  EXPECT_EQ(accepted_.size(), 1u);
}

}  // namespace
}  // namespace limpet::worker
