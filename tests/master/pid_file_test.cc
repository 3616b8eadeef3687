#include "master/pid_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

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
