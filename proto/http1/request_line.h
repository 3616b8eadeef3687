// The request line as nginx reads it: any method of [A-Z_-], any bytes but controls in the target,
// repeated spaces, and HTTP/0.9 ("GET /path" without a version).
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/http1/message.h"

namespace limpet::proto {

enum class LineError : uint8_t { kNone, kMethod, kRequest, kVersion, kHttp09Method };

// `line` has no line end. Sets method, version and the views of `head`, not its headers.
LineError ParseRequestLine(std::string_view line, RequestHead* head);

// Whether what has come of a line can still become a request line: a TLS hello or other noise need
// not be waited for.
bool CanBecomeRequestLine(std::string_view beginning);

}  // namespace limpet::proto
