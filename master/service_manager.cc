#include "master/service_manager.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "base/text.h"
#include "base/unique_fd.h"

namespace limpet::master {
namespace {

std::string Variable(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? "" : text;
}

// Of notify-reload: lets systemd tell this reload's READY from an earlier one's.
uint64_t MonotonicMicroseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

// WATCHDOG_PID, if there, says whom WATCHDOG_USEC is meant for.
uint64_t WatchdogMs() {
  const std::string pid = Variable("WATCHDOG_PID");
  if (!pid.empty() && ParseDecimal(pid) != static_cast<uint64_t>(::getpid())) return 0;
  return ParseDecimal(Variable("WATCHDOG_USEC")).value_or(0) / 1000;
}

}  // namespace

ServiceManager ServiceManager::FromEnvironment() {
  ServiceManager manager;
  manager.socket_ = Variable("NOTIFY_SOCKET");
  if (!manager.socket_.empty()) manager.watchdog_ms_ = WatchdogMs();
  return manager;
}

void ServiceManager::Send(const std::string& message) const {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (silent_ || socket_.empty() || socket_.size() >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  if (socket_[0] == '@') address.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return;
  // Nobody to tell if it fails: a service manager that does not listen is none.
  (void)::sendto(fd.get(), message.data(), message.size(), MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&address), size);
}

void ServiceManager::Ready(std::string_view status) {
  Send(fmt::format("READY=1\nSTATUS={}\nMAINPID={}\n", status, ::getpid()));
}

void ServiceManager::Reloading() {
  Send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}\nSTATUS=Reading the configuration again\n",
                   MonotonicMicroseconds()));
}

void ServiceManager::Stopping() { Send("STOPPING=1\nSTATUS=Ending\n"); }

void ServiceManager::SetStatus(std::string_view status) {
  Send(fmt::format("STATUS={}\n", status));
}

void ServiceManager::HandOverTo(pid_t pid) {
  Send(fmt::format("MAINPID={}\nSTATUS=A new binary has taken over\n", pid));
}

void ServiceManager::Tick(uint64_t now_ms) {
  if (watchdog_ms_ == 0 || now_ms < next_sign_ms_) return;
  Send("WATCHDOG=1\n");
  next_sign_ms_ = now_ms + std::max<uint64_t>(watchdog_ms_ / 2, 1);
}

std::optional<uint64_t> ServiceManager::NextDeadline() const {
  if (watchdog_ms_ == 0) return std::nullopt;
  return next_sign_ms_;
}

}  // namespace limpet::master
