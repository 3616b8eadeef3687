// One syslog server (RFC 3164). Lines are datagrams; the socket connects with the first of them,
// and anew after a failure.
#pragma once

#include <string>
#include <string_view>

#include "base/log.h"
#include "base/result.h"
#include "base/socket_address.h"
#include "base/unique_fd.h"

namespace limpet {

class Syslog {
 public:
  static Result<Syslog> To(const SyslogSpec& spec);

  struct Sent {
    int errnum = 0;  // 0: the line has left
    std::string_view call;
  };
  // Never waits: a line that the socket has no room for is lost (EAGAIN).
  Sent Send(LogLevel level, std::string_view message);

 private:
  Syslog(const SyslogSpec& spec, const SocketAddress& server);
  Sent Connect();

  SyslogSpec spec_;
  SocketAddress server_;
  std::string host_;
  UniqueFd fd_;
};

}  // namespace limpet
