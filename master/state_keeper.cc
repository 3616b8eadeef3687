#include "master/state_keeper.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/clock.h"
#include "base/own_file.h"
#include "base/text.h"
#include "master/paths.h"

namespace limpet::master {
namespace {

constexpr uint64_t kLookEveryMs = 1000;  // at servers
constexpr uint64_t kFollowEveryMs = 50;  // names that servers wait for
constexpr uint64_t kRetryMs = 10'000;    // after something could not be written
constexpr size_t kLongest = 1 << 20;     // of the servers' file
constexpr std::chrono::seconds kPatience{30};

std::string ReadOwn(const std::string& path, const Log& log) {
  const auto fd = OpenOwnFile(path);
  if (!fd) {
    if (fd.error().code != std::errc::no_such_file_or_directory) {
      LIMPET_LOG(log, LogLevel::kWarn, "servers are as configured: {}", fd.error().message);
    }
    return "";
  }
  std::string text(kLongest, '\0');
  const ssize_t n = ::pread(fd->get(), text.data(), text.size(), 0);
  text.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return text;
}

}  // namespace

StateKeeper::StateKeeper(Hooks hooks)
    : hooks_(std::move(hooks)),
      writer_({.write = [this] { return WriteAll(); },
               .log = [this]() -> const Log& { return log(); }}) {}

void StateKeeper::RecallServers() {
  const Generation& generation = hooks_.generation();
  waiting_ = ParseServerStates(ReadOwn(ServerStatesPath(generation.config()), log()));
  ApplyServerStates(generation.config(), generation.zones(), log(), &waiting_);
  servers_ = ReadServerStates(generation.config(), generation.zones());
  servers_.insert(servers_.end(), waiting_.begin(), waiting_.end());
}

void StateKeeper::Write() {
  due_ = true;
  retry_at_ms_.reset();
  Tick(MonotonicMs());
}

void StateKeeper::Tick(uint64_t now_ms) {
  writer_.Tick(now_ms);
  if (!waiting_.empty() && now_ms >= follow_at_ms_) FollowNames(now_ms);
  if (now_ms >= look_at_ms_) CheckServers(now_ms);
  const auto interval = static_cast<uint64_t>(hooks_.generation().config().state_interval.count());
  if (write_at_ms_ == 0) write_at_ms_ = now_ms + interval;
  if (interval > 0 && now_ms >= write_at_ms_) {
    write_at_ms_ = now_ms + interval;
    due_ |= hooks_.shared().SessionChanges() != changes_;
  }
  if (retry_at_ms_ && now_ms >= *retry_at_ms_) {
    retry_at_ms_.reset();
    due_ = true;
  }
  if (!due_ || writer_.busy() || retry_at_ms_) return;
  due_ = false;
  changes_ = hooks_.shared().SessionChanges();
  if (!writer_.Start(now_ms)) retry_at_ms_ = now_ms + kRetryMs;
}

std::optional<uint64_t> StateKeeper::NextDeadline() const {
  uint64_t next = look_at_ms_;
  if (hooks_.generation().config().state_interval.count() > 0) next = std::min(next, write_at_ms_);
  if (!waiting_.empty()) next = std::min(next, follow_at_ms_);
  if (retry_at_ms_) next = std::min(next, *retry_at_ms_);
  return std::min(next, writer_.NextDeadline().value_or(UINT64_MAX));
}

void StateKeeper::FollowNames(uint64_t now_ms) {
  follow_at_ms_ = now_ms + kFollowEveryMs;
  const Generation& generation = hooks_.generation();
  (void)shm::IfFree(
      [&] { ApplyServerStates(generation.config(), generation.zones(), log(), &waiting_); });
}

void StateKeeper::CheckServers(uint64_t now_ms) {
  look_at_ms_ = now_ms + kLookEveryMs;
  CheckPlace();
  const Generation& generation = hooks_.generation();
  ServerStates now;
  const bool free =
      shm::IfFree([&] { now = ReadServerStates(generation.config(), generation.zones()); });
  if (!free) return;
  now.insert(now.end(), waiting_.begin(), waiting_.end());
  if (now == servers_) return;
  servers_ = std::move(now);
  due_ = true;
}

void StateKeeper::CheckPlace() {
  const conf::Config& config = hooks_.generation().config();
  const std::string other = place_.Take(config.state_path, PlainPath(config.pid_path));
  if (std::exchange(told_other_, other) == other || other.empty()) return;
  const std::string line = fmt::format(
      "state_path \"{}\" is that of another limpet, too (pid file \"{}\"): "
      "each writes over what the other keeps",
      config.state_path, EscapeForLog(other));
  LIMPET_LOG(log(), LogLevel::kError, "{}", line);
  hooks_.shared().counters()->alerts.Add(LogLevel::kError, line);
}

bool StateKeeper::WriteAll() {
  hooks_.forked();
  const shm::LockPatience patience(kPatience);
  const bool sessions = hooks_.shared().Save(log());
  return WriteServers() && sessions;
}

// Where there is nothing to say, no file is made for that.
bool StateKeeper::WriteServers() const {
  const std::string path = ServerStatesPath(hooks_.generation().config());
  if (servers_.empty() && (::unlink(path.c_str()) == 0 || errno == ENOENT)) return true;
  MakeFolderOf(path);
  const Status status = ReplaceFile(path, WriteServerStates(servers_));
  if (!status) {
    LIMPET_LOG(log(), LogLevel::kWarn, "{}: the states of servers are not kept",
               status.error().message);
  }
  return bool{status};
}

bool StateKeeper::Forget(pid_t dead, int status) {
  if (!writer_.Forget(dead)) return false;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  retry_at_ms_ = MonotonicMs() + kRetryMs;
  return true;
}

void StateKeeper::Finish(bool ours) {
  writer_.Stop();
  if (!ours) return;
  look_at_ms_ = 0;
  CheckServers(MonotonicMs());
  (void)WriteServers();
}

}  // namespace limpet::master
