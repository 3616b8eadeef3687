// Whether a failed attempt is repeated at another peer (proxy_next_upstream). Pure: the one place
// that decides it.
#pragma once

#include <cstdint>

#include "conf/proxy.h"
#include "proto/http1/message.h"

namespace limpet::worker {

// Why an attempt came to nothing. Each is a condition of proxy_next_upstream.
struct Failure {
  uint32_t condition = conf::kNextError;  // one NextUpstream bit
  int status = 502;                       // for the client if nobody else is asked
};

constexpr Failure kConnectionFailed{conf::kNextError, 502};
constexpr Failure kTimedOut{conf::kNextTimeout, 504};
constexpr Failure kBadResponse{conf::kNextInvalidHeader, 502};

struct AttemptFacts {
  bool request_sent = false;      // bytes of the request have left for the peer
  bool body_dropped = false;      // streamed body bytes are gone: the request cannot be sent again
  bool response_started = false;  // the client has got a head
  bool idempotent = true;
  int tries_left = 0;     // peers that may still be asked
  bool time_left = true;  // proxy_next_upstream_timeout has not passed
};

constexpr bool IsIdempotent(proto::Method method) {  // nginx's list of those that are not
  return method != proto::Method::kPost && method != proto::Method::kLock &&
         method != proto::Method::kPatch;
}

constexpr bool MayTryNext(uint32_t condition, const AttemptFacts& facts, uint32_t allowed) {
  if (facts.response_started || facts.body_dropped) return false;
  if (facts.tries_left <= 0 || !facts.time_left) return false;
  if ((allowed & conf::kNextOff) != 0 || (allowed & condition) == 0) return false;
  // Sent requests that change something may have been carried out.
  return !facts.request_sent || facts.idempotent || (allowed & conf::kNextNonIdempotent) != 0;
}

// The condition that a response's status is, or 0.
constexpr uint32_t ConditionOfStatus(int status) {
  switch (status) {
    case 500:
      return conf::kNext500;
    case 502:
      return conf::kNext502;
    case 503:
      return conf::kNext503;
    case 504:
      return conf::kNext504;
    case 403:
      return conf::kNext403;
    case 404:
      return conf::kNext404;
    case 429:
      return conf::kNext429;
    default:
      return 0;
  }
}

}  // namespace limpet::worker
