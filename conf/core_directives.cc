// Processes: what the master does before it reads about http.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "conf/control_socket.h"
#include "conf/loader.h"
#include "conf/most_workers.h"
#include "conf/setting.h"
#include "conf/tables.h"

namespace limpet::conf {
namespace {

Status WorkerProcesses(Block& b, const Directive& d) {
  if (d.args[0] == "auto") {
    b.config.worker_processes = std::min(b.loader.options().cpus, kMostWorkers);
    return {};
  }
  const auto n = ParseDecimal(d.args[0]);
  if (!n || *n == 0 || *n > 1024) return InvalidForm(d, d.args[0], "it is auto, or 1 to 1024");
  if (*n > kMostWorkers) {
    b.loader.Warn(d, fmt::format("there are at most {} workers, {} of them are left out",
                                 kMostWorkers, *n - kMostWorkers));
  }
  b.config.worker_processes = std::min(static_cast<int>(*n), kMostWorkers);
  return {};
}

// Commands, a second start and shared memory find this limpet by the file.
Status Pid(Block& b, const Directive& d) {
  if (d.args[0] == "off" || d.args[0].empty())
    return InvalidArgument("\"pid\" must name a file: shared memory and commands are found by it");
  return PrefixPath{}(b, d, d.args[0], b.config.pid_path);
}

Status User(Block& b, const Directive& d) {
  b.config.user_at = Where(d);
  b.config.user = d.args[0];
  b.config.group = d.args.back();
  return {};
}

// nice values: -20 to 20, with a sign allowed.
Status WorkerPriority(Block& b, const Directive& d) {
  std::string_view text = d.args[0];
  const bool minus = text.starts_with('-');
  if (minus || text.starts_with('+')) text.remove_prefix(1);
  const auto n = ParseDecimal(text);
  if (!n || *n > 20) return InvalidForm(d, d.args[0], "it is -20 to 20");
  b.config.worker_priority = minus ? -static_cast<int>(*n) : static_cast<int>(*n);
  return {};
}

// "0110": a bit for each CPU, the last character is CPU 0.
bool ParseMask(std::string_view text, std::vector<int>* cpus) {
  if (text.empty() || text.size() > 1024) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[text.size() - 1 - i];
    if (c != '0' && c != '1') return false;
    if (c == '1') cpus->push_back(static_cast<int>(i));
  }
  return true;
}

Status CpuAffinity(Block& b, const Directive& d) {
  size_t first = 0;
  if (d.args[0] == "auto") {
    b.config.worker_cpu_affinity_auto = true;
    if (d.args.size() > 2)
      return InvalidArgument("invalid number of arguments in \"worker_cpu_affinity\" directive");
    first = 1;
  }
  for (size_t i = first; i < d.args.size(); ++i) {
    std::vector<int> cpus;
    if (!ParseMask(d.args[i], &cpus)) {
      return InvalidArgument(fmt::format(
          "invalid character in CPU mask \"{}\": a mask is 0110, a bit for each CPU", d.args[i]));
    }
    b.config.worker_cpu_affinity.push_back(std::move(cpus));
  }
  return {};
}

// "off" stays as it is: the loader makes a default of an empty path, and nothing of this one.
struct SocketPath {
  Status operator()(Block& b, const Directive& d, const std::string& text, std::string& out) const {
    if (text != kControlSocketOff) return PrefixPath{}(b, d, text, out);
    out = text;
    return {};
  }
};

// A worker beats once a second: less than a few of them would be taken for a standstill.
Status Watchdog(Block& b, const Directive& d) {
  constexpr Ms kLeast = 3s;
  if (d.args[0] == "off") {
    b.config.worker_watchdog = 0ms;
    return {};
  }
  if (Status s = Duration{}(b, d, d.args[0], b.config.worker_watchdog); !s) return s;
  if (b.config.worker_watchdog < kLeast)
    return InvalidForm(d, d.args[0], "it is off, or at least 3s");
  return {};
}

Status Engine(Block&, const Directive&) {
  return InvalidArgument("\"ssl_engine\" is not supported on this platform");
}

Status Env(Block& b, const Directive& d) {
  b.config.env.push_back(d.args[0]);
  return {};
}

Status Events(Block& outer, const Directive& d) {
  Block block{.loader = outer.loader, .context = kEvents, .config = outer.config};
  return outer.loader.Apply(d.block, block);
}

Status ThreadPool(Block& b, const Directive& d) {
  if (b.loader.left_out.insert("thread_pool " + d.args[0]).second) return {};
  return InvalidArgument(fmt::format("duplicate thread pool \"{}\"", d.args[0]));
}

Status Compatible(Block& b, const Directive& d) {
  if (d.args[0] != "nginx") return InvalidWord(d, d.args[0], "nginx");
  b.config.compatible_nginx = true;
  return {};
}

constexpr std::array kRows = std::to_array<Row>({
    {"daemon", kMain, kOneArg, kOnce, Setting<Flag, &Config::daemon>, "on",
     "leave the terminal and go on in the background"},
    {"master_process", kMain, kOneArg, kOnce, Setting<Flag, &Config::master_process>, "on",
     "run workers beneath a master; off is for debugging"},
    {"worker_processes", kMain, kOneArg, kOnce, WorkerProcesses, "1",
     "number of workers; auto: one for each CPU that limpet may use, within its cgroup's quota"},
    {"user", kMain, Takes(1, 2), kOnce, User, "", "user and group of the workers"},
    {"pid", kMain, kOneArg, kOnce, Pid, "/run/limpet.pid",
     "file that holds the master's process id"},
    {"compatible", kMain, kOneArg, kOnce | kEarly, Compatible, "",
     "nginx: Server, error pages, syslog's tag and -V name nginx, for tools that look for it"},
    {"lock_file", kMain, kOneArg, kInert, Checked<PrefixPath, std::string>, "",
     "accepted; nothing is locked with it"},
    {"state_path", kMain, kOneArg, kOnce, Setting<PrefixPath, &Config::state_path>,
     "/var/lib/limpet/",
     "folder in which sessions, drained and downed servers are kept over a restart"},
    {"state_interval", kMain, kOneArg, kOnce, Setting<Duration, &Config::state_interval>, "60s",
     "how often sessions are written there while limpet runs; 0: only when it ends"},
    {"worker_shutdown_timeout", kMain, kOneArg, kOnce,
     Setting<Duration, &Config::worker_shutdown_timeout>, "",
     "how long a graceful stop waits for requests in flight"},
    {"control_socket", kMain, kOneArg, kOnce, Setting<SocketPath, &Config::control_path>,
     "/run/limpet.sock",
     "Unix socket for limpet's own commands, beside the pid file if not given; or off"},
    {"worker_watchdog", kMain, kOneArg, kOnce, Watchdog, "30s",
     "a worker whose event loop stands still for so long is ended and replaced; or off"},
    {"ssl_object_cache_inheritable", kMain, kOneArg, kOnce,
     Setting<Flag, &Config::tls_objects_inheritable>, "on",
     "certificates and keys whose files have not changed are not read again by a reload"},
    {"ssl_engine", kMain, kOneArg, kOnce, Engine, "", "refused: OpenSSL 3 has providers instead"},
    {"worker_priority", kMain, kOneArg, kMany, WorkerPriority, "0",
     "scheduling priority of the workers (nice)"},
    {"worker_rlimit_nofile", kMain, kOneArg, kOnce,
     Setting<Number<>, &Config::worker_rlimit_nofile>, "", "limit of open files of a worker"},
    {"worker_rlimit_core", kMain, kOneArg, kOnce, Setting<Offset, &Config::worker_rlimit_core>, "",
     "limit of a worker's core file; without one its memory is hidden from its user"},
    {"worker_cpu_affinity", kMain, AtLeast(1), kOnce, CpuAffinity, "",
     "CPUs of each worker as masks, or auto"},
    {"working_directory", kMain, kOneArg, kOnce, Setting<PrefixPath, &Config::working_directory>,
     "", "the workers' current folder"},
    {"env", kMain, kOneArg, kMany, Env, "",
     "keeps or sets an environment variable for the workers"},
    {"timer_resolution", kMain, kOneArg, kInert, Checked<Duration, Ms>, "",
     "accepted; time is read at each wake-up"},
    {"pcre_jit", kMain, kOneArg, kInert, Checked<Flag, bool>, "on",
     "accepted; patterns are always compiled to machine code"},
    {"thread_pool", kMain, Takes(2, 3), kMany | kUndone, ThreadPool, "default threads=32",
     "accepted with a warning; workers have no threads"},
    {"load_module", kMain, kOneArg, kMany | kUndone, Accepted, "",
     "accepted with a warning; what is not in limpet cannot be loaded"},
    {"debug_points", kMain, kOneArg, kInert, Accepted, "",
     "accepted; faults of our own are in the log"},
    {"events", kMain, kNoArgs, kBlock, Events, "", "how connections are handled"},
});

}  // namespace

constinit const std::span<const Row> kCoreDirectives = kRows;

}  // namespace limpet::conf
