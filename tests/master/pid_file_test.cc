#include "master/pid_file.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace limpet::master {
namespace {

std::string Path(const std::string& name) {
  return ::testing::TempDir() + "limpet-" + std::to_string(::getpid()) + "-" + name;
}

TEST(PidFile, HoldsThisProcessAndGoesWithIt) {
  const std::string path = Path("pid");
  {
    PidFile file;
    ASSERT_TRUE(file.Write(path));
    const auto pid = ReadPidFile(path);
    ASSERT_TRUE(pid);
    EXPECT_EQ(*pid, ::getpid());
  }
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

TEST(PidFile, MovesWithTheConfiguration) {
  PidFile file;
  ASSERT_TRUE(file.Write(Path("one")));
  ASSERT_TRUE(file.Write(Path("two")));
  EXPECT_NE(::access(Path("one").c_str(), F_OK), 0);
  EXPECT_EQ(::access(Path("two").c_str(), F_OK), 0);
}

// What a child, which is another process to the kernel's locks, makes of the file: true if it took
// it.
bool AnotherProcessTakes(const std::string& path) {
  const pid_t child = ::fork();
  if (child == 0) {
    PidFile file;
    ::_exit(file.Write(path) ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status == 0;
}

bool AnotherProcessSeesItFree(const std::string& path) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(PidFile().CheckFree(path) ? 0 : 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  return status == 0;
}

TEST(PidFile, IsSeenToBeFreeUntilSomebodyHoldsIt) {
  const std::string path = Path("seen");
  EXPECT_TRUE(AnotherProcessSeesItFree(path));
  PidFile file;
  ASSERT_TRUE(file.Write(path));
  EXPECT_FALSE(AnotherProcessSeesItFree(path));
  EXPECT_FALSE(AnotherProcessSeesItFree(path)) << "looking takes nothing";
  EXPECT_TRUE(file.CheckFree(path)) << "by whoever holds it";
  EXPECT_TRUE(file.CheckFree(std::filesystem::path(path).parent_path() / "." /
                             std::filesystem::path(path).filename()));
  EXPECT_FALSE(AnotherProcessSeesItFree(path)) << "after a look by another name";
  file.Unlock();
  EXPECT_TRUE(AnotherProcessSeesItFree(path));
}

TEST(PidFile, BelongsToOneProcess) {
  const std::string path = Path("held");
  {
    PidFile file;
    ASSERT_TRUE(file.Write(path));
    EXPECT_FALSE(AnotherProcessTakes(path));
    EXPECT_EQ(::access((path + ".oldbin").c_str(), F_OK), -1);
    ASSERT_TRUE(file.Rename(path + ".oldbin"));
    EXPECT_TRUE(AnotherProcessTakes(path)) << "a new binary";
    EXPECT_FALSE(AnotherProcessTakes(path + ".oldbin"));
    ASSERT_TRUE(file.Rename(path));
  }
  EXPECT_TRUE(AnotherProcessTakes(path));
  ::unlink(path.c_str());  // that child has not
}

TEST(PidFile, OneThatACrashHasLeftIsNobodys) {
  const std::string path = Path("stale");
  std::ofstream(path) << "1\n";
  PidFile file;
  EXPECT_TRUE(file.Write(path));
}

TEST(PidFile, WhatAnotherHasPutThereStays) {
  const std::string path = Path("replaced");
  {
    PidFile file;
    ASSERT_TRUE(file.Write(path));
    ::unlink(path.c_str());
    std::ofstream(path) << "1\n";
  }
  EXPECT_EQ(::access(path.c_str(), F_OK), 0);
  ::unlink(path.c_str());
}

// Many that begin at the same moment, over and over: never do two of them hold the file.
TEST(PidFile, OfManyAtOnceOneWins) {
  const std::string path = Path("race");
  for (int round = 0; round < 20; ++round) {
    std::ofstream(path) << "1\n";  // of a master that has crashed
    int go[2], stop[2];
    ASSERT_EQ(::pipe(go), 0);
    ASSERT_EQ(::pipe(stop), 0);
    std::vector<pid_t> children;
    for (int i = 0; i < 8; ++i) {
      children.push_back(::fork());
      if (children.back() != 0) continue;
      char byte;
      ::close(go[1]);
      (void)!::read(go[0], &byte, 1);
      PidFile file;
      const char result = file.Write(path) ? 'y' : 'n';
      (void)!::write(stop[1], &result, 1);
      ::close(stop[1]);
      ::pause();
    }
    ::close(go[1]);
    ::close(stop[1]);
    std::string results;
    char byte;
    while (results.size() < children.size() && ::read(stop[0], &byte, 1) == 1) results += byte;
    EXPECT_EQ(std::count(results.begin(), results.end(), 'y'), 1) << results;
    for (const pid_t child : children) {
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
    }
    ::close(go[0]);
    ::close(stop[0]);
  }
  ::unlink(path.c_str());
}

TEST(PidFile, RefusesWhatIsNoProcess) {
  for (const char* text : {"", "abc\n", "-1\n", "0\n"}) {
    const std::string path = Path("wrong");
    std::ofstream(path) << text;
    EXPECT_FALSE(ReadPidFile(path)) << text;
    ::unlink(path.c_str());
  }
  EXPECT_EQ(ReadPidFile("/nowhere/pid").error().message,
            "open() \"/nowhere/pid\" failed (2: No such file or directory)");
}

}  // namespace
}  // namespace limpet::master
