#include "master/handover.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "base/unique_fd.h"

namespace limpet::master {
namespace {

TEST(Handover, OfAProcessThatNobodyHandedAnythingToIsEmpty) {
  const Handover handover = Handover::FromEnvironment();
  EXPECT_TRUE(handover.sockets().empty());
  EXPECT_FALSE(handover.from_master());
  EXPECT_FALSE(handover.sibling_lives());
}

TEST(Handover, ReadsSocketsOnceAndClosesThemOnExec) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM, 0));
  const std::string value = std::to_string(::getppid()) + ":" + std::to_string(fd.get()) + ";";
  ::setenv("LIMPET_SOCKETS", value.c_str(), 1);
  const Handover handover = Handover::FromEnvironment();
  EXPECT_EQ(handover.sockets(), std::vector<int>{fd.get()});
  EXPECT_TRUE(handover.predecessor_lives());
  EXPECT_NE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_EQ(std::getenv("LIMPET_SOCKETS"), nullptr);
}

TEST(Handover, DoesNotBelieveRubbish) {
  for (const char* text :
       {"", "1", "x:3;", "1:0;1;2;", "1:abc;", "1:99999;", ":::", "1:-3;", "1:3"}) {
    ::setenv("LIMPET_SOCKETS", text, 1);
    const Handover handover = Handover::FromEnvironment();
    for (const int fd : handover.sockets()) {
      EXPECT_GT(fd, STDERR_FILENO) << text;
      EXPECT_GE(::fcntl(fd, F_GETFD), 0) << text;
    }
  }
}

TEST(Handover, ASocketThatIsNamedTwiceHasOneOwner) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM, 0));
  const std::string number = std::to_string(fd.get());
  ::setenv("LIMPET_SOCKETS", ("1:" + number + ";" + number + ";0" + number + ";").c_str(), 1);
  EXPECT_EQ(Handover::FromEnvironment().sockets(), std::vector<int>{fd.get()});
}

TEST(Handover, SystemdsSocketsAreThoseOfTheNamedProcessOnly) {
  ::setenv("LISTEN_FDS", "2", 1);
  ::setenv("LISTEN_PID", "1", 1);
  EXPECT_TRUE(Handover::FromEnvironment().sockets().empty());
  ::setenv("LISTEN_FDS", "2", 1);
  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  const Handover handover = Handover::FromEnvironment();
  EXPECT_EQ(handover.sockets(), (std::vector<int>{3, 4}));
  EXPECT_FALSE(handover.from_master());
  EXPECT_EQ(std::getenv("LISTEN_FDS"), nullptr);
}

TEST(Handover, TheNewProcessFindsTheSocketsOpen) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const UniqueFd other(::memfd_create("other", MFD_CLOEXEC));
  const std::string number = std::to_string(fd.get());
  const std::string test = "test \"$LIMPET_SOCKETS\" = \"$PPID:" + number +
                           ";\" && test -e /proc/$$/fd/" + number + " && test -e /proc/$$/fd/" +
                           std::to_string(other.get()) +
                           " && test \"$(cat /proc/$$/fd/$LIMPET_NOTES)\" = notes";
  Handover handover;
  ASSERT_TRUE(handover.Start({"sh", "-c", test}, {{fd.get()}, {other.get()}, "notes"},
                             [](const Error&) {}));
  EXPECT_TRUE(handover.successor_lives());
  int status = 0;
  ASSERT_EQ(::waitpid(handover.successor(), &status, 0), handover.successor());
  EXPECT_EQ(status, 0);
  EXPECT_NE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0) << "here it is closed on exec as before";
  EXPECT_FALSE(handover.Forget(1));
  EXPECT_TRUE(handover.Forget(handover.successor()));
  EXPECT_FALSE(handover.sibling_lives());
}

TEST(Handover, ABinaryThatIsNotThereEndsTheChild) {
  Handover handover;
  ASSERT_TRUE(handover.Start({"/nowhere/limpet"}, {}, [](const Error&) {}));
  int status = 0;
  ASSERT_EQ(::waitpid(handover.successor(), &status, 0), handover.successor());
  EXPECT_EQ(WEXITSTATUS(status), 2);
}

}  // namespace
}  // namespace limpet::master
