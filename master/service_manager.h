// What systemd wants to hear from a service of Type=notify or notify-reload (sd_notify(3)):
// datagrams to the socket named in NOTIFY_SOCKET. Without it, every call does nothing.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace limpet::master {

class ServiceManager {
 public:
  // Takes NOTIFY_SOCKET and WATCHDOG_USEC from the environment, where they stay: a new binary needs
  // them.
  static ServiceManager FromEnvironment();

  void Ready(std::string_view status);
  void Reloading();  // Ready must follow, whatever came of it
  void Stopping();
  void SetStatus(std::string_view status);
  // Another process is the service from now on: a new binary.
  void HandOverTo(pid_t pid);
  // From here on another process reports (false: this one does again).
  void BeSilent(bool silent) { silent_ = silent; }

  // The watchdog's sign of life, twice as often as it is asked for.
  void Tick(uint64_t now_ms);
  std::optional<uint64_t> NextDeadline() const;

 private:
  void Send(const std::string& message) const;

  std::string socket_;        // a path, or @name for an abstract one; empty: nobody listens
  uint64_t watchdog_ms_ = 0;  // 0: no sign of life is asked for
  uint64_t next_sign_ms_ = 0;
  bool silent_ = false;
};

}  // namespace limpet::master
