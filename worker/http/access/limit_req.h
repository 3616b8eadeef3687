// limit_req: its step, and its arithmetic in thousandths of a request.
#pragma once

#include <cstdint>
#include <limits>

#include "worker/http/exchange/step.h"

namespace limpet::worker {

constexpr uint64_t Thousandths(uint64_t requests) {
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  return requests > kMax / 1000 ? kMax : requests * 1000;
}

// How long a request waits that made this excess: until the bucket has leaked down to
// `free_requests`, which are served at once (delay= or nodelay).
constexpr uint64_t DelayMs(uint64_t excess, uint64_t free_requests, uint64_t rate) {
  const uint64_t free = Thousandths(free_requests);
  return excess <= free ? 0 : (excess - free) * 1000 / rate;
}

Step LimitReqStep(Exchange& exchange);  // may delay

}  // namespace limpet::worker
