#include "master/event_wait.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>

namespace limpet::master {
namespace {

struct SignalRow {
  int number;
  std::string_view name;
};
constexpr SignalRow kRead[] = {{SIGHUP, "SIGHUP"},   {SIGINT, "SIGINT"},    {SIGQUIT, "SIGQUIT"},
                               {SIGTERM, "SIGTERM"}, {SIGUSR1, "SIGUSR1"},  {SIGUSR2, "SIGUSR2"},
                               {SIGCHLD, "SIGCHLD"}, {SIGWINCH, "SIGWINCH"}};

int Timeout(std::optional<uint64_t> deadline_ms) {
  if (!deadline_ms) return -1;
  const uint64_t now = MonotonicMs();
  return *deadline_ms <= now ? 0
                             : static_cast<int>(std::min<uint64_t>(*deadline_ms - now, INT_MAX));
}

}  // namespace

Result<EventWait> EventWait::Create() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const SignalRow& row : kRead) ::sigaddset(&set, row.number);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0)
    return ErrnoError("sigprocmask() failed", errno);
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return ErrnoError("signalfd() failed", errno);
  return EventWait(std::move(fd));
}

std::optional<Signal> EventWait::Next(std::optional<uint64_t> deadline_ms, int other_fd) {
  for (;;) {
    signalfd_siginfo info{};
    if (::read(signals_.get(), &info, sizeof info) == sizeof info) {
      return Signal{static_cast<int>(info.ssi_signo), static_cast<int>(info.ssi_pid)};
    }
    const int timeout = Timeout(deadline_ms);
    if (timeout == 0) return std::nullopt;
    pollfd wanted[] = {{signals_.get(), POLLIN, 0}, {other_fd, POLLIN, 0}};
    ::poll(wanted, std::size(wanted), timeout);
    if (wanted[1].revents != 0 && wanted[0].revents == 0) return std::nullopt;
  }
}

std::string_view SignalName(int number) {
  for (const SignalRow& row : kRead) {
    if (row.number == number) return row.name;
  }
  return "";
}

}  // namespace limpet::master
