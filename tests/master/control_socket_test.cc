#include "master/control_socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "base/socket_address.h"

namespace limpet::master {
namespace {

constexpr uint64_t kNow = 1000;

class ControlSocketTest : public ::testing::Test {
 protected:
  ControlSocketTest() { EXPECT_TRUE(socket_.Open(path_)); }
  ~ControlSocketTest() override { socket_.Close(); }

  UniqueFd Ask(std::string_view line) const {
    UniqueFd client(::socket(AF_UNIX, SOCK_STREAM, 0));
    const SocketAddress address = SocketAddress::Unix(path_);
    EXPECT_EQ(::connect(client.get(), address.get(), address.size()), 0);
    EXPECT_EQ(::send(client.get(), line.data(), line.size(), 0), static_cast<ssize_t>(line.size()));
    return client;
  }
  static void ExpectAnswer(const UniqueFd& client) {
    char answer[64] = {};
    EXPECT_GT(::recv(client.get(), answer, sizeof answer, MSG_DONTWAIT), 0);
    EXPECT_STREQ(answer, "heard status");
  }
  bool HasWork() const {
    pollfd state{socket_.fd(), POLLIN, 0};
    return ::poll(&state, 1, 0) == 1;
  }

  const std::string path_ =
      ::testing::TempDir() + "limpet-" + std::to_string(::getpid()) + "-control";
  ControlSocket socket_{[](std::string_view line) { return "heard " + std::string(line); }};
};

// No descriptor can be opened while it lives.
class Exhaustion {
 public:
  Exhaustion() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const int free = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::close(free);
    const rlimit none{static_cast<rlim_t>(free), before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~Exhaustion() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST_F(ControlSocketTest, AnswersALine) {
  const UniqueFd client = Ask("status\n");
  ASSERT_TRUE(HasWork());
  socket_.Serve(kNow);
  socket_.Serve(kNow);
  ExpectAnswer(client);
}

TEST_F(ControlSocketTest, WithoutADescriptorItWaitsAndDoesNotSpin) {
  const UniqueFd client = Ask("status\n");
  {
    const Exhaustion exhaustion;
    socket_.Serve(kNow);
    EXPECT_FALSE(HasWork());
    ASSERT_TRUE(socket_.NextDeadline());
    EXPECT_EQ(*socket_.NextDeadline(), kNow + 1000);
    socket_.Serve(kNow + 999);
    EXPECT_FALSE(HasWork());
  }
  socket_.Serve(kNow + 1000);
  socket_.Serve(kNow + 1000);
  ExpectAnswer(client);
}

TEST_F(ControlSocketTest, OneThatIsGivenUpMeanwhileHasNoWork) {
  const UniqueFd client = Ask("status\n");
  {
    const Exhaustion exhaustion;
    socket_.Serve(kNow);
  }
  ASSERT_TRUE(socket_.Open(""));
  EXPECT_FALSE(socket_.NextDeadline());
}

}  // namespace
}  // namespace limpet::master
