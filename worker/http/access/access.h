// Whether a request may come in: satisfy over allow and deny, auth_basic (auth_basic.h) and
// auth_request (auth_request.h).
#pragma once

#include "worker/http/exchange/step.h"

namespace limpet::worker {

Step AccessStep(Exchange& exchange);
Step AuthRequestStep(Exchange& exchange);  // asks and waits
Step AuthAnswerStep(Exchange& exchange);
Step AccessDelayStep(Exchange& exchange);    // auth_delay
Step AccessVerdictStep(Exchange& exchange);  // answers what the steps before it have decided

}  // namespace limpet::worker
