// Conditional requests (RFC 9110 13), with nginx's order and its three ways to take
// If-Modified-Since. Pure; the hook is ApplyConditions (hooks.h).
#pragma once

#include <cstdint>
#include <string_view>

#include "conf/response.h"
#include "proto/headers.h"

namespace limpet::worker {

struct Validators {
  int64_t last_modified = -1;  // seconds; -1: none
  std::string_view etag;       // with its quotes; "": none
};

enum class Verdict : uint8_t { kSend, kNotModified /* 304 */, kPreconditionFailed /* 412 */ };

// Of a request for a response that would be a 200.
Verdict JudgeConditions(const proto::HeaderList& request, const Validators& response,
                        conf::ResponseSettings::IfModifiedSince mode);

}  // namespace limpet::worker
