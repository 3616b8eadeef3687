#include "master/master.h"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include "base/clock.h"
#include "conf/units.h"
#include "master/process_title.h"
#include "master/standard_streams.h"
#include "worker/control.h"

namespace limpet::master {
namespace {

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

// What loading has taken and freed: it would stay, here and once more in each worker.
void GiveBackMemory() { ::malloc_trim(0); }

// LIMPET_STOP_TIMEOUT: whoever has started us kills us soon after. Only a stop is bounded so:
// worker_shutdown_timeout would cut off what is open at each reload, too.
std::optional<uint64_t> StopLimitMs() {
  const char* text = std::getenv("LIMPET_STOP_TIMEOUT");
  const auto time = text == nullptr ? std::nullopt : conf::ParseTime(text, false);
  return time ? std::optional(static_cast<uint64_t>(time->count())) : std::nullopt;
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

std::string Describe(const Signal& signal, bool heeded) {
  const auto row = heeded ? std::ranges::find(kMeanings, signal.number, &SignalMeaning::number)
                          : std::end(kMeanings);
  const std::string from = signal.sender > 0 ? fmt::format(" from {}", signal.sender) : "";
  return fmt::format("signal {} ({}) received{}{}", signal.number, SignalName(signal.number), from,
                     row == std::end(kMeanings) ? "" : row->meaning);
}

}  // namespace

Master::Master(const Start& start, Handover handover)
    : start_(start),
      handover_(std::move(handover)),
      service_manager_(ServiceManager::FromEnvironment()),
      control_([this](std::string_view line) {
        keeper_->LookAtServers();
        return worker::AnswerControl(generation_->EnvironmentFor(0, 0), line);
      }) {}

int Master::Run(std::shared_ptr<const conf::Config> config) {
  shm::LockPatience::WaitForNone();
  if (auto status = Open(std::move(config)); !status) {
    start_.early.Report(LogLevel::kEmerg, status.error().message);
    return 1;
  }
  if (!generation_->config().master_process) return RunAlone();
  SetProcessTitle(fmt::format("master process {}", fmt::join(start_.argv, " ")));
  succeeding_ = handover_.predecessor_lives();
  if (handover_.from_master() && !succeeding_) OnPredecessorGone();
  service_manager_.BeSilent(succeeding_);
  OpenControl();
  StartWorkers();
  service_manager_.Ready(StatusLine());
  Loop();
  Finish();
  return 0;
}

Status Master::Open(std::shared_ptr<const conf::Config> config) {
  HideMemory(*config);
  auto shared = SharedMemory::Create();
  if (!shared) return shared.error();
  shared_ = std::move(*shared);
  shared_->Inherit(handover_.notes());
  const Listeners inherited = Listeners::Adopt(handover_.sockets());
  auto opened = Generation::Open({.config = config,
                                  .paths = &start_.paths,
                                  .shared = shared_.get(),
                                  .pid_file = &pid_file_,
                                  .before = &inherited,
                                  .on_busy = Listeners::OnBusy::kRetry,
                                  .log = &start_.early.file()});
  if (!opened) {
    (void)shared_->TakeBack();
    return opened.error();
  }
  generation_ = std::move(*opened);
  shared_->DropUnused(*config);
  generation_->RecallPeers(handover_.notes());
  keeper_.emplace(KeeperHooks());
  if (!handover_.from_master()) keeper_->RecallServers();
  handover_.ForgetNotes();
  GiveBackMemory();
  NoteLoad("");
  UniqueFd terminal;  // where who has started us waits
  if (config->daemon && !handover_.from_master()) {
    auto left = Daemonize(LogsToStderr(*config, start_.paths));
    if (!left) return left.error();
    terminal = std::move(*left);
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
  if (!handover_.sockets().empty()) {
    LIMPET_LOG(log(), LogLevel::kNotice, "using {} inherited sockets", handover_.sockets().size());
  }
  if (auto status = pid_file_.Write(config->pid_path); !status) return status;
  if (!handover_.from_master()) shared_->RemoveUnowned(config->pid_path, log());
  if (terminal) (void)!::write(terminal.get(), "", 1);
  return {};
}

int Master::RunAlone() {
  shm::LockPatience::WaitForAll();
  for (;;) {
    SetProcessTitle("single process");
    worker::Environment environment = generation_->EnvironmentFor(0, 0);
    environment.stop_listening = [this] {
      state_ = State::kQuitting;
      GiveUpPlace();
    };
    const int code = worker::Run(environment);
    if (code != worker::kReconfigure) {
      Finish();
      return code;
    }
    LIMPET_LOG(log(), LogLevel::kNotice, "reconfiguring");
    (void)OpenNext();       // if it is wrong the old one goes on
    former_zones_.clear();  // their worker has ended
  }
}

StateKeeper::Hooks Master::KeeperHooks() {
  return {.generation = [this]() -> Generation& { return *generation_; },
          .shared = [this]() -> SharedMemory& { return *shared_; },
          .forked =
              [this] {
                control_.Forget();
                for (const ListenSocketPtr& socket : generation_->listeners().All())
                  socket->Close();
              }};
}

// Without it everything else works: what is wrong is said, no more.
void Master::OpenControl() {
  if (auto status = control_.Open(generation_->config().control_path); !status) {
    LIMPET_LOG(log(), LogLevel::kError, "{}: no command can ask this process",
               status.error().message);
  }
}

void Master::Loop() {
  while (!(ends() && supervisor_->idle())) {
    if (const auto signal = wait_->Next(NextDeadline(), control_.fd())) OnSignal(*signal);
    Tick();
  }
}

void Master::OnSignal(const Signal& signal) {
  const bool routine = signal.number == SIGCHLD && keeper_->IsWriter(signal.sender);
  // In the foreground a terminal sends it whenever its window changes: that means nothing.
  const bool heeded =
      signal.number != SIGWINCH || signal.sender > 0 || generation_->config().daemon;
  LIMPET_LOG(log(), routine ? LogLevel::kInfo : LogLevel::kNotice, "{}", Describe(signal, heeded));
  if (!heeded) return;
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
    case SIGUSR2:
      return ChangeBinary();
    default:
      return;
  }
}

void Master::Reload() {
  if (ends()) return;
  if (handover_.successor_lives()) return ResumeWorkers();
  LIMPET_LOG(log(), LogLevel::kNotice, "reconfiguring");
  service_manager_.Reloading();
  if (!OpenNext()) {
    return service_manager_.Ready("The new configuration is wrong, the old one serves");
  }
  OpenControl();
  state_ = State::kServing;
  ReplaceWorkers();
  service_manager_.Ready(StatusLine());
}

// The new configuration is opened in full beside the old one; whatever is wrong with it leaves the
// old one serving.
bool Master::OpenNext() {
  std::string refused;
  auto loaded = LoadConfig(start_.command_line, start_.paths,
                           [this, &refused](LogLevel level, const std::string& text) {
                             LIMPET_LOG(log(), level, "{}", text);
                             if (level <= LogLevel::kError) refused = text;
                           });
  if (!loaded) {
    NoteLoad(refused);
    return false;
  }
  const Status opened = OpenGeneration(std::move(loaded));
  NoteLoad(opened ? "" : opened.error().message);
  return bool{opened};
}

Status Master::OpenGeneration(std::shared_ptr<const conf::Config> config) {
  if (handover_.sibling_lives()) generation_->listeners().LeaveFiles();
  const bool own_place = !handover_.successor_lives();  // else it is the new binary's
  auto opened = Generation::Open({.config = std::move(config),
                                  .paths = &start_.paths,
                                  .shared = shared_.get(),
                                  .pid_file = own_place ? &pid_file_ : nullptr,
                                  .before = &generation_->listeners(),
                                  .on_busy = Listeners::OnBusy::kFail,
                                  .log = &log(),
                                  .number = generation_->number() + 1,
                                  .tls_before = generation_->tls(),
                                  .geo_before = generation_->geo(),
                                  .tokens_before = generation_->tokens()});
  if (!opened) {
    LIMPET_LOG(log(), LogLevel::kEmerg, "{}", opened.error().message);
    reclaims_ |= shared_->TakeBack();
    if (!replacing_) Settle();
    return opened.error();
  }
  const std::shared_ptr<Generation> before = std::exchange(generation_, std::move(*opened));
  former_zones_.emplace(before->number(), before->TakeZones());
  HideMemory(generation_->config());
  const Status status = own_place ? pid_file_.Write(generation_->config().pid_path) : Status();
  if (!status) {
    LIMPET_LOG(log(), LogLevel::kEmerg, "{}", status.error().message);
  } else if (!handover_.sibling_lives()) {
    shared_->MoveHome(generation_->config().pid_path, log());
  }
  shared_->DropUnused(generation_->config());
  GiveBackMemory();
  return {};
}

// For those who watch: whether what serves is what was wanted last. `why`: it was refused.
void Master::NoteLoad(const std::string& why) {
  shm::Counters& counters = *shared_->counters();
  const bool before = counters.incidents.reload_refused.exchange(!why.empty());
  if (!why.empty()) {
    shared_->status()->mishaps.reloads_refused.fetch_add(1, std::memory_order_relaxed);
    LIMPET_LOG(log(), LogLevel::kError,
               "the new configuration was refused: the one before serves on, nothing is lost");
    return counters.alerts.Add(
        LogLevel::kError,
        fmt::format("the new configuration was refused, the one before goes on: {}", why));
  }
  counters.incidents.loaded_s.store(Now().seconds, std::memory_order_relaxed);
  if (before) counters.alerts.Add(LogLevel::kNotice, "a new configuration serves");
}

void Master::Reopen() {
  LIMPET_LOG(log(), LogLevel::kNotice, "reopening logs");
  generation_->ReopenLogs();
  supervisor_->SignalAll(SIGUSR1);
}

void Master::Rest() {
  if (state_ != State::kServing) return;
  state_ = State::kResting;
  retire_at_ms_.reset();
  supervisor_->Stop(SIGQUIT);
}

void Master::End(State state, int signal) {
  state_ = state;
  if (handover_.successor_lives()) {
    service_manager_.HandOverTo(handover_.successor());
    service_manager_.BeSilent(true);
  }
  service_manager_.Stopping();
  supervisor_->Stop(signal);
  if (handover_.sibling_lives()) generation_->listeners().LeaveFiles();
  if (state != State::kStopping) {
    if (!handover_.sibling_lives()) {
      keeper_->Write();  // we may not be given the time to end
      if (const auto limit = StopLimitMs()) stop_at_ms_ = MonotonicMs() + *limit;
    }
    return GiveUpPlace();
  }
  GiveUpPlace();
  kill_at_ms_ = MonotonicMs() + kStopWithinMs;
}

// The next one may start while the last requests end here.
void Master::GiveUpPlace() {
  generation_->listeners().Close();
  pid_file_.Unlock();
}

// Workers are looked at first: what stands still there may keep the rest from its work.
void Master::Tick() {
  const uint64_t now = MonotonicMs();
  if (now >= look_at_ms_) LookAtWorkers(now);
  if (retire_at_ms_ && now >= *retire_at_ms_) RetireWorkers(now);
  if (stop_at_ms_ && now >= *stop_at_ms_) {
    stop_at_ms_.reset();
    LIMPET_LOG(log(), LogLevel::kNotice, "the time to end gracefully is over");
    End(State::kStopping, SIGTERM);
  }
  if (kill_at_ms_ && now >= *kill_at_ms_) {
    kill_at_ms_.reset();
    supervisor_->Kill();
  }
  Settle();  // first: a worker has the zones as they are when it begins
  supervisor_->Tick(now);
  std::erase_if(former_zones_,
                [this](const auto& former) { return !supervisor_->HasWorkersOf(former.first); });
  if (IsNewest()) {
    shared_->Tick(now, log());
    if (!ends() && generation_->NextDeadline()) generation_->FollowNames(*shared_, now);
    keeper_->Tick(now);
  } else {
    shared_->TickNews(now);
  }
  service_manager_.Tick(now);
  control_.Serve(now);
  if (succeeding_ && !handover_.predecessor_lives()) OnPredecessorGone();
}

// Of two masters at the same zones, the newer one collects, says how full they are and writes what
// is kept. It may be a new binary, or one that was started while our last requests end.
bool Master::IsNewest() const {
  return !handover_.successor_lives() && !(ends() && pid_file_.IsTaken());
}

std::string Master::StatusLine() const {
  return fmt::format("Serving with {} workers, configuration {}",
                     generation_->config().worker_processes, generation_->number());
}

uint64_t Master::NextDeadline() const {
  uint64_t next = look_at_ms_;
  const bool ours = IsNewest();
  const auto zones = ours ? shared_->NextDeadline() : shared_->NextNews();
  const auto names = ours && !ends() ? generation_->NextDeadline() : std::nullopt;
  const auto state = ours ? keeper_->NextDeadline() : std::nullopt;
  for (const auto& deadline :
       {retire_at_ms_, stop_at_ms_, kill_at_ms_, supervisor_->NextDeadline(), zones,
        service_manager_.NextDeadline(), control_.NextDeadline(), names, state}) {
    if (deadline) next = std::min(next, *deadline);
  }
  return next;
}

void Master::Finish() {
  if (supervisor_) supervisor_->Reap();  // the new binary may have ended, too
  const bool goes_on = handover_.sibling_lives() || !IsNewest();
  if (goes_on) {  // they go on with the same sockets and the same zones
    generation_->listeners().LeaveFiles();
    shared_->Leave(handover_.predecessor_lives(), log());
  }
  generation_->listeners().Close();
  control_.Close();
  keeper_->Finish(IsNewest());  // also beside the old one: it may end, too
  shared_->SaveAndRemove(log());
  pid_file_.Remove();
  LIMPET_LOG(log(), LogLevel::kNotice, "exit");
}

}  // namespace limpet::master
