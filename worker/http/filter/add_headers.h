// add_header, add_trailer and expires.
#pragma once

#include <cstdint>
#include <string_view>

#include "worker/http/exchange/exchange.h"

namespace limpet::worker {

// Evaluates add_trailer into response.trailers; called when the body has ended and the client can
// take trailers.
void AddResponseTrailers(Exchange& exchange);

// The error log's line for a field that is left out of a head: its value could end its line.
[[gnu::cold]] void LogUnfitField(const Exchange& exchange, std::string_view name);

// Whether add_header without `always` applies.
constexpr bool IsSafeStatus(int status) {
  switch (status) {
    case 200:
    case 201:
    case 204:
    case 206:
    case 301:
    case 302:
    case 303:
    case 304:
    case 307:
    case 308:
      return true;
    default:
      return false;
  }
}

}  // namespace limpet::worker
