#include "master/upgrade.h"

#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "base/clock.h"
#include "master/control.h"
#include "master/generation.h"
#include "master/handover.h"
#include "master/pid_file.h"

namespace limpet::master {
namespace {

constexpr uint64_t kBeginMs = 10'000;  // for the running one to begin
constexpr uint64_t kServeMs = 60'000;  // for the new one to serve: a long configuration takes time
constexpr uint64_t kSettleMs = 1'000;  // where nobody can be asked whether it does
constexpr int kLookEveryMs = 20;

bool Lives(pid_t pid) { return ::kill(pid, 0) == 0 || errno == EPERM; }

// Calls `look` until it says something, or the time is over.
template <class Look>
auto WaitFor(uint64_t ms, Look look) -> decltype(look()) {
  for (const uint64_t end = MonotonicMs() + ms;;) {
    if (auto found = look()) return found;
    if (MonotonicMs() >= end) return {};
    ::poll(nullptr, 0, kLookEveryMs);
  }
}

class Change {
 public:
  Change(const conf::Places& places, pid_t old) : places_(places), old_(old) {}

  Status Run() {
    if (auto status = Send(SIGUSR2); !status) return status;
    const pid_t fresh = NewMaster();
    if (fresh == 0) {
      return InvalidArgument(fmt::format(
          "no new binary has taken the place of process {}, which goes on: see the error "
          "log",
          old_));
    }
    if (!Serves(fresh)) {
      return InvalidArgument(fmt::format(
          "the new binary (process {}) does not serve yet; process {} goes on beside it", fresh,
          old_));
    }
    if (auto status = Send(SIGWINCH); !status) return status;
    if (!Lives(fresh)) {
      return InvalidArgument(fmt::format("the new binary has ended, process {} goes on", old_));
    }
    return Send(SIGQUIT);
  }

 private:
  Status Send(int signal) const {
    if (::kill(old_, signal) == 0) return {};
    return ErrnoError(fmt::format("kill({}, {}) failed", old_, signal), errno);
  }

  // The pid file is the new one's as soon as it listens; the old one's again if that fails.
  pid_t NewMaster() const {
    const std::string aside = places_.pid + std::string(kOldPidSuffix);
    const auto began = [&] { return ::access(aside.c_str(), F_OK) == 0 || PidThere() != old_; };
    if (!WaitFor(kBeginMs, began)) return 0;
    const auto decided = [&]() -> std::optional<pid_t> {
      const pid_t there = PidThere();
      if (there != 0 && there != old_) return there;
      const bool over = !Lives(old_) || (there == old_ && ::access(aside.c_str(), F_OK) != 0);
      return over ? std::optional<pid_t>(0) : std::nullopt;
    };
    return WaitFor(kServeMs, decided).value_or(0);
  }

  pid_t PidThere() const {
    const auto pid = ReadPidFile(places_.pid);
    return pid ? *pid : 0;
  }

  bool Serves(pid_t master) const {
    if (places_.control.empty()) {
      ::poll(nullptr, 0, static_cast<int>(kSettleMs));
      return Lives(master);
    }
    return WaitFor(kServeMs,
                   [&] { return !Lives(master) || HasWorkers(places_.control, master); }) &&
           Lives(master);
  }

  const conf::Places places_;
  const pid_t old_;
};

}  // namespace

int Upgrade(const CommandLine& command_line, const Paths& paths, const EarlyLog& early) {
  const conf::Places places = FindPlaces(command_line, paths);
  const auto pid = ReadPidFile(places.pid);
  Status status = pid ? Change(places, *pid).Run() : Status(pid.error());
  if (status) return 0;
  early.Report(LogLevel::kError, status.error().message);
  return 1;
}

}  // namespace limpet::master
