#include "master/master.h"

#include <fmt/core.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/clock.h"
#include "master/process_title.h"
#include "master/standard_streams.h"
#include "master/worker_process.h"

namespace limpet::master {
namespace {

constexpr uint64_t kSettleMs =
    100;  // new workers are at work before old ones turn connections away
constexpr uint64_t kStopWithinMs = 2000;  // then SIGKILL

bool LogsToStderr(const conf::Config& config, const Paths& paths) {
  if (paths.error_log == "stderr") return true;
  for (const conf::ErrorLogs& logs : config.error_logs) {
    for (const conf::ErrorLog& log : logs) {
      if (log.target == conf::ErrorLog::Target::kStderr) return true;
    }
  }
  return false;
}

struct SignalMeaning {
  int number;
  std::string_view meaning;
};
constexpr SignalMeaning kMeanings[] = {{SIGHUP, ", reconfiguring"},
                                       {SIGUSR1, ", reopening logs"},
                                       {SIGQUIT, ", shutting down"},
                                       {SIGTERM, ", exiting"},
                                       {SIGINT, ", exiting"},
                                       {SIGUSR2, ", changing binary"},
                                       {SIGWINCH, ", ending the workers"}};

std::string Describe(const Signal& signal) {
  const auto row = std::ranges::find(kMeanings, signal.number, &SignalMeaning::number);
  const std::string from = signal.sender > 0 ? fmt::format(" from {}", signal.sender) : "";
  return fmt::format("signal {} ({}) received{}{}", signal.number, SignalName(signal.number), from,
                     row == std::end(kMeanings) ? "" : row->meaning);
}

}  // namespace

Master::Master(const CommandLine& command_line, const Paths& paths, const EarlyLog& early)
    : command_line_(command_line), paths_(paths), early_(early) {}

int Master::Run(std::shared_ptr<const conf::Config> config) {
  if (auto status = Start(std::move(config)); !status) {
    early_.Report(LogLevel::kEmerg, status.error().message);
    return 1;
  }
  if (!generation_->config().master_process) return RunAlone();
  SetProcessTitle("master process");
  StartWorkers();
  Loop();
  Finish();
  return 0;
}

Status Master::Start(std::shared_ptr<const conf::Config> config) {
  auto shared = SharedMemory::Create();
  if (!shared) return shared.error();
  shared_ = std::move(*shared);
  const Listeners none;
  auto opened = Generation::Open({.config = config,
                                  .paths = &paths_,
                                  .shared = shared_.get(),
                                  .before = &none,
                                  .on_busy = Listeners::OnBusy::kRetry,
                                  .log = &early_.file()});
  if (!opened) return opened.error();
  generation_ = std::move(*opened);
  if (config->daemon && config->master_process) {
    if (auto status = Daemonize(LogsToStderr(*config, paths_)); !status) return status;
    generation_->listeners().AdoptFiles();
  }
  ::signal(SIGPIPE, SIG_IGN);
  auto wait = EventWait::Create();
  if (!wait) return wait.error();
  wait_.emplace(std::move(*wait));
  utsname system{};
  ::uname(&system);
  LIMPET_LOG(log(), LogLevel::kNotice, "limpet/{}", LIMPET_VERSION);
  LIMPET_LOG(log(), LogLevel::kNotice, "OS: {} {}", system.sysname, system.release);
  return pid_file_.Write(config->pid_path);
}

int Master::RunAlone() {
  SetProcessTitle("single process");
  const int code = worker::Run(generation_->EnvironmentFor(0, 0));
  Finish();
  return code;
}

void Master::StartWorkers() {
  if (!supervisor_) {
    const pid_t self = ::getpid();
    supervisor_.emplace(Supervisor::Hooks{
        .run = [this, self](int number,
                            int slot) { return RunWorker(*generation_, number, slot, self); },
        .died = [this](int slot) { shared_->ForgetWorker(slot); },
        .log = [this]() -> const Log& { return log(); }});
  }
  supervisor_->StartGeneration(generation_->number(), generation_->config().worker_processes);
}

void Master::Loop() {
  const auto ended = [this] {
    return (state_ == State::kQuitting || state_ == State::kStopping) && supervisor_->idle();
  };
  while (!ended()) {
    if (const auto signal = wait_->Next(NextDeadline())) OnSignal(*signal);
    Tick();
  }
}

void Master::OnSignal(const Signal& signal) {
  LIMPET_LOG(log(), LogLevel::kNotice, "{}", Describe(signal));
  switch (signal.number) {
    case SIGCHLD:
      return supervisor_->Reap();
    case SIGHUP:
      return Reload();
    case SIGUSR1:
      return Reopen();
    case SIGWINCH:
      return Rest();
    case SIGQUIT:
      if (state_ != State::kStopping) End(State::kQuitting, SIGQUIT);
      return;
    case SIGTERM:
    case SIGINT:
      return End(State::kStopping, SIGTERM);
    default:
      LIMPET_LOG(log(), LogLevel::kError, "a change of binary (SIGUSR2) is not supported");
  }
}

// The new configuration is opened in full beside the old one; whatever is wrong with it leaves the
// old one serving.
void Master::Reload() {
  if (state_ == State::kQuitting || state_ == State::kStopping) return;
  LIMPET_LOG(log(), LogLevel::kNotice, "reconfiguring");
  auto loaded = LoadConfig(command_line_, paths_, [this](LogLevel level, const auto& text) {
    LIMPET_LOG(log(), level, "{}", text);
  });
  if (!loaded) return;
  auto opened = Generation::Open({.config = std::move(loaded),
                                  .paths = &paths_,
                                  .shared = shared_.get(),
                                  .before = &generation_->listeners(),
                                  .on_busy = Listeners::OnBusy::kFail,
                                  .log = &log(),
                                  .number = generation_->number() + 1});
  if (!opened) {
    LIMPET_LOG(log(), LogLevel::kEmerg, "{}", opened.error().message);
    return;
  }
  generation_ = std::move(*opened);
  if (auto status = pid_file_.Write(generation_->config().pid_path); !status) {
    LIMPET_LOG(log(), LogLevel::kEmerg, "{}", status.error().message);
  }
  shared_->DropUnused(generation_->config());
  state_ = State::kServing;
  StartWorkers();
  retire_at_ms_ = MonotonicMs() + kSettleMs;
}

void Master::Reopen() {
  LIMPET_LOG(log(), LogLevel::kNotice, "reopening logs");
  generation_->ReopenLogs();
  supervisor_->SignalAll(SIGUSR1);
}

// In the foreground a terminal sends SIGWINCH whenever its window changes: there it means nothing.
void Master::Rest() {
  if (!generation_->config().daemon || state_ != State::kServing) return;
  state_ = State::kResting;
  supervisor_->Stop(SIGQUIT);
}

void Master::End(State state, int signal) {
  state_ = state;
  supervisor_->Stop(signal);
  if (state != State::kStopping) return generation_->listeners().Close();
  kill_at_ms_ = MonotonicMs() + kStopWithinMs;
}

void Master::Tick() {
  const uint64_t now = MonotonicMs();
  if (retire_at_ms_ && now >= *retire_at_ms_) {
    retire_at_ms_.reset();
    supervisor_->QuitOthersThan(generation_->number());
  }
  if (kill_at_ms_ && now >= *kill_at_ms_) {
    kill_at_ms_.reset();
    supervisor_->Kill();
  }
  supervisor_->Tick(now);
  shared_->Tick(now, log());
}

std::optional<uint64_t> Master::NextDeadline() const {
  std::optional<uint64_t> next;
  for (const auto& deadline :
       {retire_at_ms_, kill_at_ms_, supervisor_->NextDeadline(), shared_->NextDeadline()}) {
    if (deadline) next = std::min(next.value_or(UINT64_MAX), *deadline);
  }
  return next;
}

void Master::Finish() {
  generation_->listeners().Close();
  shared_->SaveAndRemove(log());
  pid_file_.Remove();
  LIMPET_LOG(log(), LogLevel::kNotice, "exit");
}

}  // namespace limpet::master
