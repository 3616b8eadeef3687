#include "conf/glance.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace limpet::conf {
namespace {

class GlanceTest : public ::testing::Test {
 protected:
  GlanceTest() : folder_(::testing::TempDir() + "glance-" + std::to_string(::getpid()) + "/") {
    std::filesystem::create_directory(folder_);
  }
  ~GlanceTest() override { std::filesystem::remove_all(folder_); }

  Places In(const std::string& text, const std::string& global = "") {
    std::ofstream(folder_ + "limpet.conf") << text;
    return Glance({.prefix = folder_,
                   .file = "limpet.conf",
                   .global_directives = global,
                   .default_pid = "/run/default.pid"});
  }

  std::string folder_;
};

TEST_F(GlanceTest, FindsWhatIsWritten) {
  const Places places = In("user x;\npid run/limpet.pid;\ncontrol_socket /run/c.sock;\nhttp { }\n");
  EXPECT_EQ(places.pid, folder_ + "run/limpet.pid");
  EXPECT_EQ(places.control, "/run/c.sock");
}

TEST_F(GlanceTest, KnowsTheDefaults) {
  EXPECT_EQ(In("events { }").pid, "/run/default.pid");
  EXPECT_EQ(In("events { }").control, "/run/default.sock");
  EXPECT_EQ(In("pid /x/y.pid;").control, "/x/y.sock");
  EXPECT_EQ(In("control_socket off;").control, "");
  EXPECT_EQ(In("", "pid /g.pid;").control, "/g.sock");
}

TEST_F(GlanceTest, LooksIntoTheMainContextOnly) {
  EXPECT_EQ(In("http { server { pid /a; } control_socket /b; }\npid /c.pid;").control, "/c.sock");
}

TEST_F(GlanceTest, FollowsIncludes) {
  std::ofstream(folder_ + "more.conf") << "pid /more.pid;";
  std::ofstream(folder_ + "again.conf") << "include again.conf; control_socket /more.sock;";
  EXPECT_EQ(In("include mo*.conf;").pid, "/more.pid");
  EXPECT_EQ(In("include again.conf;").control, "/more.sock");
  EXPECT_EQ(In("include none.conf;\npid /x.pid;").pid, "/x.pid");
}

TEST_F(GlanceTest, IsNotDeterredByMistakes) {
  EXPECT_EQ(In("worker_processes 4\npid /a.pid;\n").pid, "/a.pid");
  EXPECT_EQ(In("pid /a.pid\nevents { }\n").pid, "/a.pid");
  EXPECT_EQ(In("nonsense;\n}\npid /a.pid;\nhttp { server { listen").pid, "/a.pid");
  EXPECT_EQ(In("env \"A=b\npid /a.pid;\n").pid, "/a.pid") << "a quote without an end";
  EXPECT_EQ(In("; ; ;\npid /a.pid;").pid, "/a.pid");
  EXPECT_EQ(In("pid").pid, "/run/default.pid");
  EXPECT_EQ(In(std::string(100, '}')).pid, "/run/default.pid");
}

TEST_F(GlanceTest, NeedsNoFile) {
  const Places places = Glance({.prefix = folder_, .file = "none", .default_pid = "/d.pid"});
  EXPECT_EQ(places.control, "/d.sock");
}

}  // namespace
}  // namespace limpet::conf
