#include "worker/http/client/client_closed.h"

#include <fmt/core.h>

#include <cerrno>

#include "worker/http/log/connection_log.h"
#include "worker/net/failure_text.h"

namespace limpet::worker {
namespace {

// What it sent was no TLS, or an alert: OpenSSL says which.
bool IsBroken(const Transport& transport) { return transport.errnum() == EPROTO; }

}  // namespace

std::string_view WhileReading(std::string_view head) {
  if (head.empty()) return " while waiting for request";
  return head.find('\n') == std::string_view::npos ? " while reading client request line"
                                                   : " while reading client request headers";
}

std::string ClosedEarly(const Transport& transport) {
  return IsBroken(transport) ? ReadFailure(transport) : std::string(kClientLeft);
}

void LogClosed(const Runtime& runtime, const ClientInfo& info, const Transport& transport,
               std::string_view head) {
  const bool kept = head.empty() && info.requests > 0;
  if (IsBroken(transport)) {
    return LogConnection(runtime, info, LogLevel::kInfo,
                         fmt::format("{}{}", ReadFailure(transport),
                                     kept ? " while keepalive" : WhileReading(head)));
  }
  if (kept) {
    const Log& log = ConnectionLog(runtime, info);
    if (!log.Enabled(LogLevel::kInfo)) return;
    return log.Write(LogLevel::kInfo, info.number,
                     fmt::format("client {} closed keepalive connection", info.remote_host));
  }
  LogConnection(runtime, info, LogLevel::kInfo,
                fmt::format("client {}closed connection{}", head.empty() ? "" : "prematurely ",
                            WhileReading(head)));
}

void LogBrokenHttp2(const Runtime& runtime, const ClientInfo& info, const Transport& transport) {
  if (!IsBroken(transport)) return;
  LogConnection(runtime, info, LogLevel::kInfo,
                ReadFailure(transport) + " while processing HTTP/2 connection");
}

}  // namespace limpet::worker
