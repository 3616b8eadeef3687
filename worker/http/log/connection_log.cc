#include "worker/http/log/connection_log.h"

#include <fmt/core.h>

namespace limpet::worker {

const Log& ConnectionLog(const Runtime& runtime, const ClientInfo& client) {
  const int index = client.listen->default_server->root->log.error_log;
  return runtime.logs[static_cast<size_t>(index)];
}

void LogConnection(const Runtime& runtime, const ClientInfo& client, LogLevel level,
                   std::string_view what) {
  const Log& log = ConnectionLog(runtime, client);
  if (!log.Enabled(level)) return;
  log.Write(level, client.number,
            fmt::format("{}, client: {}, server: {}", what, client.remote_host,
                        client.listen->listen.address.ToString()));
}

}  // namespace limpet::worker
