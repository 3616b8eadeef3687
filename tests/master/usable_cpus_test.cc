#include "master/usable_cpus.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace limpet::master {
namespace {

namespace fs = std::filesystem;

// /proc and /sys as a container has them.
class UsableCpusTest : public testing::Test {
 protected:
  UsableCpusTest() {
    std::string name = testing::TempDir() + "cgroup-XXXXXX";
    root_ = ::mkdtemp(name.data());
  }
  ~UsableCpusTest() override { fs::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  std::optional<double> Quota() const { return CpuQuota(root_); }

  std::string root_;
};

TEST_F(UsableCpusTest, NoGroupIsNoLimit) { EXPECT_EQ(Quota(), std::nullopt); }

TEST_F(UsableCpusTest, UnifiedQuota) {
  Write("/proc/self/cgroup", "0::/\n");
  Write("/sys/fs/cgroup/cpu.max", "150000 100000\n");
  EXPECT_EQ(Quota(), 1.5);
}

TEST_F(UsableCpusTest, MaxIsNoLimit) {
  Write("/proc/self/cgroup", "0::/\n");
  Write("/sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_EQ(Quota(), std::nullopt);
}

TEST_F(UsableCpusTest, TheLeastOfAllParentsCounts) {
  Write("/proc/self/cgroup", "0::/kubepods/pod1/box\n");
  Write("/sys/fs/cgroup/kubepods/cpu.max", "max 100000\n");
  Write("/sys/fs/cgroup/kubepods/pod1/cpu.max", "200000 100000\n");
  Write("/sys/fs/cgroup/kubepods/pod1/box/cpu.max", "400000 100000\n");
  EXPECT_EQ(Quota(), 2);
}

TEST_F(UsableCpusTest, QuotaOfTheFirstVersion) {
  Write("/proc/self/cgroup", "5:memory:/a\n4:cpu,cpuacct:/a\n0::/\n");
  Write("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "50000\n");
  Write("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Quota(), 0.5);
}

TEST_F(UsableCpusTest, MinusOneIsNoLimit) {
  Write("/proc/self/cgroup", "1:cpu:/\n");
  Write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  Write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Quota(), std::nullopt);
}

TEST_F(UsableCpusTest, ThePathOfTheHostInAContainerWithoutANamespace) {
  Write("/proc/self/cgroup", "4:cpu,cpuacct:/docker/0123\n");
  Write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000\n");
  Write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Quota(), 3);
}

TEST_F(UsableCpusTest, WhatCannotBeReadIsNoLimit) {
  Write("/proc/self/cgroup", "nonsense\n0::/../../x\n:\n");
  Write("/sys/fs/cgroup/cpu.max", "lots of it\n");
  EXPECT_EQ(Quota(), std::nullopt);
  Write("/sys/fs/cgroup/cpu.max", "100000 0\n");
  EXPECT_EQ(Quota(), std::nullopt);
}

TEST_F(UsableCpusTest, TheQuotaIsRoundedUpAndNeverMoreThanTheMask) {
  cpu_set_t set;
  ASSERT_EQ(::sched_getaffinity(0, sizeof set, &set), 0);
  const int cpus = CPU_COUNT(&set);
  EXPECT_EQ(UsableCpus(root_), cpus);
  Write("/proc/self/cgroup", "0::/\n");
  Write("/sys/fs/cgroup/cpu.max", "10000 100000\n");
  EXPECT_EQ(UsableCpus(root_), 1);
  Write("/sys/fs/cgroup/cpu.max", "110000 100000\n");
  EXPECT_EQ(UsableCpus(root_), std::min(2, cpus));
  Write("/sys/fs/cgroup/cpu.max", "99999999 100000\n");
  EXPECT_EQ(UsableCpus(root_), cpus);
}

}  // namespace
}  // namespace limpet::master
