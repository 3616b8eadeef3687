// auth_request: the answer of another location decides whether a request may come in.
#pragma once

#include <optional>

#include "worker/http/exchange/exchange.h"

namespace limpet::worker {

// Asks, if the location says so; then the exchange is suspended, and FinishAuthRequest is due when
// it goes on. False: there is nothing to ask.
bool StartAuthRequest(Exchange& exchange);
// Takes the answer: sets the variables of auth_request_set; 0 if the client may come in, else the
// status to refuse it with. For 401 the challenge has been added to the response.
int FinishAuthRequest(Exchange& exchange);

}  // namespace limpet::worker
