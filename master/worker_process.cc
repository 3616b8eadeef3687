#include "master/worker_process.h"

#include <fmt/core.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "master/process_title.h"

namespace limpet::master {
namespace {

constexpr int kCannotBegin = 2;

// A setting that fails is logged and skipped: a worker with fewer files is better than none.
void Say(const Log& log, LogLevel level, const std::string& what) {
  LIMPET_LOG(log, level, "{}{}", what, ErrnoText(errno));
}

template <class Resource>
void Limit(const Log& log, Resource resource, const char* name, int64_t value) {
  if (value < 0) return;
  const auto wanted = static_cast<rlim_t>(value);
  const rlimit limit{wanted, wanted};
  if (::setrlimit(resource, &limit) == 0) return;
  Say(log, LogLevel::kAlert, fmt::format("setrlimit({}, {}) failed", name, value));
}

// Those this process may use; of them, those in the mask, if there is one.
std::vector<int> AutoCpus(const conf::Config& config) {
  cpu_set_t usable;
  std::vector<int> cpus;
  if (::sched_getaffinity(0, sizeof usable, &usable) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(static_cast<size_t>(cpu), &usable)) cpus.push_back(cpu);
  }
  if (config.worker_cpu_affinity.empty()) return cpus;
  const std::vector<int>& mask = config.worker_cpu_affinity[0];
  std::erase_if(cpus, [&](int cpu) { return std::ranges::find(mask, cpu) == mask.end(); });
  return cpus;
}

std::vector<int> CpusFor(const conf::Config& config, int number) {
  if (config.worker_cpu_affinity_auto) {
    const std::vector<int> cpus = AutoCpus(config);
    if (cpus.empty()) return {};
    return {cpus[static_cast<size_t>(number) % cpus.size()]};
  }
  if (config.worker_cpu_affinity.empty()) return {};
  const size_t last = config.worker_cpu_affinity.size() - 1;
  return config.worker_cpu_affinity[std::min(static_cast<size_t>(number), last)];
}

void PinToCpus(const Log& log, const std::vector<int>& cpus) {
  if (cpus.empty()) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus) CPU_SET(static_cast<size_t>(cpu), &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0) {
    Say(log, LogLevel::kAlert, "sched_setaffinity() failed");
  }
}

// `env NAME;` keeps a variable, `env NAME=VALUE;` sets it; of the others only TZ stays, as in
// nginx.
void SetEnvironment(const std::vector<std::string>& lines) {
  std::vector<std::pair<std::string, std::string>> kept;
  const auto keep = [&](const std::string& name) {
    if (const char* value = std::getenv(name.c_str())) kept.emplace_back(name, value);
  };
  keep("TZ");
  for (const std::string& line : lines) {
    const size_t equals = line.find('=');
    if (equals == std::string::npos) {
      keep(line);
    } else {
      kept.emplace_back(line.substr(0, equals), line.substr(equals + 1));
    }
  }
  ::clearenv();
  for (const auto& [name, value] : kept) ::setenv(name.c_str(), value.c_str(), 1);
}

Status Prepare(const Generation& generation, int number) {
  const conf::Config& config = generation.config();
  const Log& log = generation.log();
  if (config.worker_priority != 0 && ::setpriority(PRIO_PROCESS, 0, config.worker_priority) != 0) {
    Say(log, LogLevel::kAlert, fmt::format("setpriority({}) failed", config.worker_priority));
  }
  Limit(log, RLIMIT_NOFILE, "RLIMIT_NOFILE", config.worker_rlimit_nofile);
  Limit(log, RLIMIT_CORE, "RLIMIT_CORE", config.worker_rlimit_core);
  PinToCpus(log, CpusFor(config, number));
  SetEnvironment(config.env);
  if (generation.credentials()) {
    if (auto status = DropPrivileges(*generation.credentials()); !status) return status;
  }
  HideMemory(config);
  // Whatever a worker is made to run, it gains nothing by it.
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (config.working_directory.empty() || ::chdir(config.working_directory.c_str()) == 0) return {};
  return ErrnoError(fmt::format("chdir(\"{}\") failed", config.working_directory), errno);
}

}  // namespace

int RunWorker(Generation& generation, int number, int slot, pid_t master) {
  SetProcessTitle("worker process");
  shm::LockPatience::WaitForAll();
  if (auto status = Prepare(generation, number); !status) {
    LIMPET_LOG(generation.log(), LogLevel::kEmerg, "{}", status.error().message);
    return kCannotBegin;
  }
  // After the change of user, which clears it.
  ::prctl(PR_SET_PDEATHSIG, SIGQUIT);
  if (::getppid() != master) return 0;
  generation.listeners().CloseAllBut(number, generation.config().worker_processes);
  worker::Environment environment = generation.EnvironmentFor(number, slot);
  shm::LockPatience::WaitForAll(&environment.pulses->slots[static_cast<size_t>(slot)].waits);
  return worker::Run(std::move(environment));
}

}  // namespace limpet::master
