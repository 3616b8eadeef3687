// How the attempts at upstream peers are written in one value: "a, b" for peers tried one after the
// other, "a : b" where an internal redirect led to another group between them. Pure.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <span>

#include "worker/http/exchange/upstream_trace.h"

namespace limpet::worker {

template <class Append>
void AppendAttempts(std::span<const UpstreamAttempt> attempts, fmt::memory_buffer* out,
                    Append append) {
  for (size_t i = 0; i < attempts.size(); ++i) {
    if (i > 0) out->append(std::string_view(attempts[i].after_redirect ? " : " : ", "));
    append(attempts[i], out);
  }
}

// Seconds with milliseconds; "-" for what did not happen.
inline void AppendAttemptTime(int64_t ms, fmt::memory_buffer* out) {
  if (ms == -1) return out->push_back('-');
  ms = std::max<int64_t>(ms, 0);
  fmt::format_to(std::back_inserter(*out), "{}.{:03}", ms / 1000, ms % 1000);
}

}  // namespace limpet::worker
