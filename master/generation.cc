#include "master/generation.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/clock.h"
#include "master/process_title.h"
#include "master/temp_dirs.h"
#include "master/usable_cpus.h"

namespace limpet::master {
namespace {

constexpr std::chrono::milliseconds kLockPatience{500};  // with workers that are only slow
// Of a process that begins, which keeps nobody waiting: the old binary may end meanwhile.
constexpr std::chrono::milliseconds kPatienceToBegin{5000};

// Lines may come with nginx's level in front.
std::string WithoutLevel(std::string text) {
  constexpr std::string_view kPrefix = "[warn] ";
  return text.starts_with(kPrefix) ? text.substr(kPrefix.size()) : text;
}

// Workers that cannot enter it end before they serve. Whether their user may is not known here.
Status CheckWorkingDirectory(const std::string& path) {
  struct stat there {};
  if (path.empty()) return {};
  int errnum = 0;
  if (::stat(path.c_str(), &there) != 0) {
    errnum = errno;
  } else if (!S_ISDIR(there.st_mode)) {
    errnum = ENOTDIR;
  }
  if (errnum == 0 || errnum == EACCES) return {};
  return ErrnoError(fmt::format("chdir(\"{}\") failed", path), errnum);
}

// What would fail at a start, told without changing anything.
Status CheckPlaces(const conf::Config& config) {
  if (auto status = CheckWorkingDirectory(config.working_directory); !status) return status;
  if (auto status = CheckTempDirs(TempDirs(config)); !status) return status;
  return PidFile::CheckPlace(config.pid_path);
}

// Of who outlives it.
std::shared_ptr<const conf::Config> Borrowed(const conf::Config& config) {
  return {std::shared_ptr<void>(), &config};
}

conf::LoadOptions OptionsFor(const CommandLine& command_line, const Paths& paths) {
  return {.prefix = paths.prefix,
          .file = paths.file,
          .error_log = paths.error_log,
          .global_directives = command_line.global_directives,
          .cpus = UsableCpus(),
          .default_pid = paths.pid,
          .default_state = paths.state};
}

}  // namespace

conf::Places FindPlaces(const CommandLine& command_line, const Paths& paths) {
  return conf::Glance(OptionsFor(command_line, paths));
}

std::shared_ptr<const conf::Config> LoadConfig(const CommandLine& command_line, const Paths& paths,
                                               const Reporter& report) {
  auto loaded = conf::Load(OptionsFor(command_line, paths));
  if (!loaded) {
    report(LogLevel::kEmerg, loaded.error().message);
    return nullptr;
  }
  for (const std::string& warning : (*loaded)->warnings) {
    report(LogLevel::kWarn, WithoutLevel(warning));
  }
  return std::move(*loaded);
}

Status Generation::OpenFiles(const Paths& paths, const Before& before, const Reporter& report) {
  auto credentials = WorkerCredentials(*config_);
  if (!credentials) return credentials.error();
  credentials_ = *credentials;
  if (auto status = CheckTransparency(*config_); !status) return status;
  auto logs = OpenErrorLogs(*config_, paths.error_log, &log_files_);
  if (!logs) return conf::WithPlace(*config_, logs.error());
  logs_ = std::move(*logs);
  auto access_logs = OpenAccessLogs(*config_, credentials_);
  if (!access_logs) return conf::WithPlace(*config_, access_logs.error());
  access_logs_ = std::move(*access_logs);
  if (auto status = LoadFiles(before, report); !status)
    return conf::WithPlace(*config_, status.error());
  if (credentials_) log_files_.ChangeOwner(credentials_->uid);
  return {};
}

// What workers have no right to read.
Status Generation::LoadFiles(const Before& before, const Reporter& report) {
  auto tls = worker::LoadTls(*config_, before.tls);
  if (!tls) return tls.error();
  tls_ = std::move(*tls);
  for (const std::string& warning : worker::TlsWarnings(*tls_)) report(LogLevel::kWarn, warning);
  auto geo = worker::LoadGeo(*config_, before.geo);
  if (!geo) return geo.error();
  geo_ = std::move(*geo);
  auto tokens = worker::LoadTokens(*config_, before.tokens);
  if (!tokens) return tokens.error();
  tokens_ = std::move(*tokens);
  return {};
}

Status Generation::CheckFiles(const conf::Config& config) {
  if (auto credentials = WorkerCredentials(config); !credentials) return credentials.error();
  Generation probe;
  probe.config_ = Borrowed(config);
  const Status loaded = probe.LoadFiles({}, [](LogLevel, const std::string&) {});
  return loaded ? loaded : conf::WithPlace(config, loaded.error());
}

Status Generation::Check(const conf::Config& config, const Paths& paths, const Reporter& report) {
  Generation probe;
  probe.config_ = Borrowed(config);
  if (auto status = probe.OpenFiles(paths, {}, report); !status) return status;
  if (auto status = CheckPlaces(config); !status) return conf::WithPlace(config, status.error());
  return Listeners::TryBind(config);
}

Result<std::shared_ptr<Generation>> Generation::Open(const Inputs& inputs) {
  std::shared_ptr<Generation> made(new Generation);
  made->config_ = inputs.config;
  made->number_ = inputs.number;
  made->counters_ = inputs.shared->counters();
  made->pulses_ = inputs.shared->pulses();
  made->status_ = inputs.shared->status();
  const auto report = [&made](LogLevel level, const std::string& text) {
    LIMPET_LOG(made->log(), level, "{}", text);
  };
  const Status files = made->OpenFiles(
      *inputs.paths, {inputs.tls_before, inputs.geo_before, inputs.tokens_before}, report);
  if (!files) return files.error();
  const conf::Config& config = *inputs.config;
  if (auto status = CreateTempDirs(TempDirs(config), made->credentials_); !status) {
    return status.error();
  }
  auto listeners = Listeners::Open(config, *inputs.before, inputs.on_busy, *inputs.log);
  if (!listeners) return listeners.error();
  made->listeners_ = std::move(*listeners);
  const PidFile* const pid_file = inputs.pid_file;
  const Status free = pid_file != nullptr ? pid_file->CheckFree(config.pid_path) : Status();
  if (!free) return free.error();
  // Last, as this is what the serving generation would notice.
  if (auto status = made->AttachZones(*inputs.shared); !status) return status.error();
  if (auto status = worker::ShareTlsSessions(*made->tls_, made->zones_.tls_sessions); !status) {
    return status.error();
  }
  return made;
}

Status Generation::AttachZones(SharedMemory& shared) {
  Status status = Error{std::make_error_code(std::errc::device_or_resource_busy),
                        "a process stands still while it holds a lock of shared memory"};
  const shm::LockPatience patience(number_ == 1 ? kPatienceToBegin : kLockPatience);
  (void)shm::IfFree([&] {
    auto zones = shared.Attach(*config_, log());
    status = zones ? Status() : Status(zones.error());
    if (zones) zones_ = std::move(*zones);
  });
  return status;
}

worker::Environment Generation::EnvironmentFor(int number, int slot) {
  worker::Environment environment;
  environment.config = config_.get();
  environment.slot = slot;
  environment.number = number;
  environment.generation = number_;
  environment.started_ms = MonotonicMs();
  environment.listen_fds = listeners_.ForWorker(number, config_->worker_processes);
  environment.logs = &logs_;
  environment.log_files = &log_files_;
  for (const UniqueFd& log : access_logs_) environment.access_logs.push_back(log.get());
  environment.sessions = zones_.sessions;
  environment.stores = zones_.stores;
  for (const auto& states : zones_.peer_states) environment.peer_states.push_back(states.get());
  environment.limit_req = zones_.limit_req;
  environment.limit_conn = zones_.limit_conn;
  environment.counters = counters_;
  environment.pulses = pulses_;
  environment.status = status_;
  for (const TrafficPlace& place : zones_.traffic)
    environment.traffic_places.push_back(place->index);
  for (const auto& zone : zones_.status_zones) environment.status_zones.push_back(zone.get());
  environment.set_title = SetProcessTitle;
  environment.tls = tls_.get();
  environment.geo = geo_.get();
  environment.tokens = tokens_.get();
  environment.stop_listening = [this] { listeners_.Close(); };
  return environment;
}

void Generation::ReopenLogs() {
  log_files_.ReopenAll(log());
  for (size_t i = 0; i < access_logs_.size(); ++i) {  // one that cannot be keeps none from it
    auto fd = OpenAccessLog(config_->http->access_log_files[i], credentials_);
    if (fd) {
      access_logs_[i] = std::move(*fd);
    } else {
      LIMPET_LOG(log(), LogLevel::kEmerg, "{}", fd.error().message);
    }
  }
  if (credentials_) log_files_.ChangeOwner(credentials_->uid);
}

}  // namespace limpet::master
