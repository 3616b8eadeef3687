#include "master/state_writer.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace limpet::master {
namespace {

constexpr uid_t kNobody = 65534;

TEST(StateWriter, OneChildAtATime) {
  const Log log;
  StateWriter writer(
      {.write = [] { return ::pause() == 0; }, .log = [&]() -> const Log& { return log; }});
  EXPECT_TRUE(writer.Start(1000));
  EXPECT_TRUE(writer.busy());
  const auto deadline = writer.NextDeadline();
  EXPECT_TRUE(writer.Start(2000));
  EXPECT_EQ(writer.NextDeadline(), deadline) << "it is the same child";
  writer.Stop();
  EXPECT_FALSE(writer.busy());
}

// What there is to write must not be taken for written.
TEST(StateWriter, SaysThatThereIsNoChild) {
  const pid_t poor = ::fork();
  if (poor == 0) {  // a process that may have no children; root always may
    const rlimit none{0, 0};
    (void)!::setuid(kNobody);
    if (::setrlimit(RLIMIT_NPROC, &none) != 0) ::_exit(2);
    const Log log;
    StateWriter writer({.write = [] { return true; }, .log = [&]() -> const Log& { return log; }});
    ::_exit(writer.Start(1000) || writer.busy() ? 1 : 0);
  }
  int status = 0;
  ::waitpid(poor, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace limpet::master
