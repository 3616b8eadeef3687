#include "master/paths.h"

#include <gtest/gtest.h>

namespace limpet::master {
namespace {

TEST(Paths, AreTheSystemsWithoutAPrefix) {
  const Paths paths = ResolvePaths({}, "/home/me");
  EXPECT_EQ(paths.prefix, "/etc/limpet/");
  EXPECT_EQ(paths.error_log, "/var/log/limpet/error.log");
  EXPECT_EQ(paths.pid, "/run/limpet.pid");
  EXPECT_EQ(paths.state, "/var/lib/limpet/");
}

TEST(Paths, AreBeneathAPrefix) {
  CommandLine line;
  line.prefix = "srv";
  line.file = "my.conf";
  const Paths paths = ResolvePaths(line, "/home/me");
  EXPECT_EQ(paths.prefix, "/home/me/srv/");
  EXPECT_EQ(paths.file, "/home/me/srv/my.conf");
  EXPECT_EQ(paths.error_log, "/home/me/srv/logs/error.log");
  EXPECT_EQ(paths.pid, "/home/me/srv/logs/limpet.pid");
}

TEST(Paths, HaveNoDotsInThem) {
  CommandLine line;
  line.prefix = ".";
  line.file = "./conf/././my.conf";
  line.error_log = "../e.log";
  const Paths paths = ResolvePaths(line, "/home/me");
  EXPECT_EQ(paths.prefix, "/home/me/");
  EXPECT_EQ(paths.file, "/home/me/conf/my.conf");
  EXPECT_EQ(paths.error_log, "/home/me/../e.log");
}

TEST(Paths, ArePlain) {
  EXPECT_EQ(PlainPath("/run/./././x.pid"), "/run/x.pid");
  EXPECT_EQ(PlainPath("//run///x.pid"), "/run/x.pid");
  EXPECT_EQ(PlainPath("/run/../x.pid"), "/run/../x.pid");
}

TEST(Paths, OfTheErrorLogMayBeAStream) {
  CommandLine line;
  line.error_log = "stderr";
  EXPECT_EQ(ResolvePaths(line, "/").error_log, "stderr");
}

}  // namespace
}  // namespace limpet::master
