#include "master/usable_cpus.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string_view>
#include <vector>

#include "base/text.h"

namespace limpet::master {
namespace {

// A controller of cgroup v1 is mounted by its own name, or by the names of all that share it.
constexpr std::string_view kMounts[] = {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"};
constexpr std::string_view kUnified = "/sys/fs/cgroup";

// "max 100000" is no limit, "150000 100000" is one and a half.
std::optional<double> OfUnified(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || period <= 0) return std::nullopt;
  const auto number = ParseDecimal(quota);
  return number ? std::optional(static_cast<double>(*number) / period) : std::nullopt;
}

// -1 is no limit.
std::optional<double> OfController(const std::string& folder) {
  std::ifstream quota_file(folder + "/cpu.cfs_quota_us"),
      period_file(folder + "/cpu.cfs_period_us");
  double quota = 0, period = 0;
  if (!(quota_file >> quota) || !(period_file >> period) || quota <= 0 || period <= 0)
    return std::nullopt;
  return quota / period;
}

void Lower(std::optional<double>* least, std::optional<double> other) {
  if (other) *least = std::min(least->value_or(*other), *other);
}

// The group's own folder and those above it. In a container without a namespace of its own the
// group's path is the host's, and the only folder that is there is the mount itself.
template <class Read>
std::optional<double> LeastUpTo(const std::string& mount, std::string group, const Read& read) {
  std::optional<double> least;
  if (group.find("..") != std::string::npos) group.clear();  // outside of our namespace
  while (!group.empty() && group != "/") {
    Lower(&least, read(mount + group));
    group.erase(group.rfind('/'));
  }
  Lower(&least, read(mount));
  return least;
}

bool HasCpu(std::string_view controllers) {
  for (const std::string_view name : Split(controllers, ',')) {
    if (name == "cpu") return true;
  }
  return false;
}

}  // namespace

std::optional<double> CpuQuota(const std::string& root) {
  std::optional<double> least;
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // "4:cpu,cpuacct:/path", "0::/path"
    const size_t controllers = line.find(':');
    const size_t path = line.find(':', controllers + 1);
    if (controllers == std::string::npos || path == std::string::npos) continue;
    const std::string_view names =
        std::string_view(line).substr(controllers + 1, path - controllers - 1);
    const std::string group = line.substr(path + 1);
    if (names.empty()) Lower(&least, LeastUpTo(root + std::string(kUnified), group, OfUnified));
    if (!HasCpu(names)) continue;
    for (const std::string_view mount : kMounts)
      Lower(&least, LeastUpTo(root + std::string(mount), group, OfController));
  }
  return least;
}

int UsableCpus(const std::string& root) {
  cpu_set_t set;
  const int cpus = ::sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(CPU_COUNT(&set), 1) : 1;
  const auto quota = CpuQuota(root);
  if (!quota) return cpus;
  return std::clamp(static_cast<int>(std::min(std::ceil(*quota), 4096.0)), 1, cpus);
}

}  // namespace limpet::master
