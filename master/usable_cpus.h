// How many CPUs this process may keep busy, for `worker_processes auto`. Read at each load of the
// configuration, as a quota may change while limpet runs.
#pragma once

#include <optional>
#include <string>

namespace limpet::master {

// CPUs' worth of time that the process's cgroups leave it: the least of its own and its parents',
// of cgroup v2 (cpu.max) and v1 (cpu.cfs_quota_us). Nothing if none sets a limit or none can be
// read. `root`: where /proc and /sys are, for tests.
std::optional<double> CpuQuota(const std::string& root = "");

// CPUs of the affinity mask, or fewer by the quota, which is rounded up; at least 1.
int UsableCpus(const std::string& root = "");

}  // namespace limpet::master
