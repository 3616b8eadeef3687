// A client has closed its connection, or broken it: what lines of the log say of that.
#pragma once

#include <string>
#include <string_view>

#include "worker/http/exchange/client_stream.h"
#include "worker/http/exchange/runtime.h"
#include "worker/net/transport.h"

namespace limpet::worker {

// Of a client that has gone before all was sent.
inline constexpr std::string_view kClientLeft = "client prematurely closed connection";

// What a connection without a whole head was doing: " while waiting for request".
std::string_view WhileReading(std::string_view head);

// After a Read that said kEof or kError, amid what the client had to send.
std::string ClosedEarly(const Transport& transport);

// Likewise, between two requests or within a head.
void LogClosed(const Runtime& runtime, const ClientInfo& info, const Transport& transport,
               std::string_view head);

// Likewise over HTTP/2, where a mere end is no news.
void LogBrokenHttp2(const Runtime& runtime, const ClientInfo& info, const Transport& transport);

}  // namespace limpet::worker
