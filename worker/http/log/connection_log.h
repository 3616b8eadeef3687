// Error lines about a connection that has no request (yet): they go to the log of its listener's
// default server and end with client and listening address, as in nginx.
#pragma once

#include <string_view>

#include "base/log.h"
#include "worker/http/exchange/client_stream.h"
#include "worker/http/exchange/runtime.h"

namespace limpet::worker {

const Log& ConnectionLog(const Runtime& runtime, const ClientInfo& client);

// "WHAT, client: 127.0.0.1, server: 0.0.0.0:80"
void LogConnection(const Runtime& runtime, const ClientInfo& client, LogLevel level,
                   std::string_view what);

}  // namespace limpet::worker
