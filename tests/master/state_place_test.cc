// One folder of state, and those who would keep theirs in it.
#include "master/state_place.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace limpet::master {
namespace {

class StatePlaceTest : public testing::Test {
 protected:
  StatePlaceTest() { std::filesystem::create_directory(folder_); }
  ~StatePlaceTest() override { std::filesystem::remove_all(folder_); }

  // What a process of another limpet is told. Its locks are its own.
  std::string ToldTo(const std::string& home) const {
    int pipe[2];
    EXPECT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      const std::string told = StatePlace().Take(folder_, home);
      ::_exit(::write(pipe[1], told.data(), told.size()) < 0 ? 1 : 0);
    }
    ::close(pipe[1]);
    char text[256];
    const ssize_t size = ::read(pipe[0], text, sizeof text);
    ::close(pipe[0]);
    ::waitpid(child, nullptr, 0);
    return {text, size > 0 ? static_cast<size_t>(size) : 0};
  }

  const std::string folder_ =
      testing::TempDir() + "limpet-state-place-" + std::to_string(::getpid()) + "/";
  StatePlace place_;
};

TEST_F(StatePlaceTest, IsOneLimpets) {
  EXPECT_EQ(place_.Take(folder_, "/run/a.pid"), "");
  EXPECT_EQ(place_.Take(folder_, "/run/a.pid"), "");
  EXPECT_EQ(ToldTo("/run/b.pid"), "/run/a.pid");
  EXPECT_EQ(ToldTo("/run/a.pid"), "");  // its other binary
}

TEST_F(StatePlaceTest, IsFreeAgainWhenItHasEnded) {
  EXPECT_EQ(ToldTo("/run/b.pid"), "");
  EXPECT_EQ(place_.Take(folder_, "/run/a.pid"), "");
  EXPECT_EQ(ToldTo("/run/b.pid"), "/run/a.pid");
}

TEST_F(StatePlaceTest, WritesInNoFileThatHasAnotherName) {
  const std::string precious = folder_ + "precious";
  std::ofstream(precious) << "text";
  std::filesystem::create_hard_link(precious, folder_ + "limpet.lock");
  EXPECT_EQ(place_.Take(folder_, "/run/a.pid"), "");
  std::string text;
  std::ifstream(precious) >> text;
  EXPECT_EQ(text, "text");
}

TEST_F(StatePlaceTest, SaysNothingOfAFolderThatIsNotThere) {
  EXPECT_EQ(place_.Take(folder_ + "none", "/run/a.pid"), "");
}

}  // namespace
}  // namespace limpet::master
