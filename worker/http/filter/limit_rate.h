// limit_rate and limit_rate_after, to the client and from an upstream.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "conf/template.h"
#include "worker/http/exchange/exchange.h"

namespace limpet::worker {

// Bytes a second; 0: no limit. What `set $limit_rate` or X-Accel-Limit-Rate has said counts more
// than the location.
uint64_t ClientRate(Exchange& exchange);
// Bytes that go before the limit holds.
uint64_t ClientRateAfter(Exchange& exchange);
// A size as configured ("10k") or from a variable; 0 if it is none.
uint64_t EvaluateSize(Exchange& exchange, const conf::Template& text);

// Until what a rate holds back is looked at again.
inline constexpr std::chrono::milliseconds kRateLook{100};

// How much may have passed after this time, given what has: whole seconds count, as in nginx. A
// rate comes from an upstream or a variable and may be any number.
constexpr uint64_t RateAllowance(uint64_t rate, uint64_t after, uint64_t elapsed_ms,
                                 uint64_t passed) {
  const uint64_t seconds = elapsed_ms / 1000 + 1;
  const uint64_t paced = rate > UINT64_MAX / seconds ? UINT64_MAX : rate * seconds;
  const uint64_t allowed = paced + std::min(after, UINT64_MAX - paced);
  return allowed > passed ? allowed - passed : 0;
}

}  // namespace limpet::worker
