// Where a message's body ends (RFC 9112 6.3). The one place that decides it, for both sides; pure
// functions. Where the RFC lets a recipient repair a message, we refuse it: repairs are what
// request smuggling is made of.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/http1/message.h"

namespace limpet::proto {

enum class BodyKind : uint8_t {
  kNone,
  kLength,  // `length` bytes, never 0
  kChunked,
  kUntilClose,  // responses only
  kTunnel,      // 101 and successful CONNECT: no longer HTTP
};

struct Framing {
  uint64_t length = 0;
  const char* reason = "";  // nginx's words for the error log, static
  int status = 0;           // 0: fine; else refused: the status for the client (502 for a response)
  BodyKind kind = BodyKind::kNone;

  bool ok() const { return status == 0; }
};

Framing RequestFraming(const RequestHead& head);
Framing ResponseFraming(Method request_method, const ResponseHead& head);

// A Content-Length value: digits only, at most INT64_MAX. False if it is anything else.
bool ParseContentLength(std::string_view value, uint64_t* length);

}  // namespace limpet::proto
