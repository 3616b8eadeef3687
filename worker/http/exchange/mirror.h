// mirror: other locations get a copy of the request.
#pragma once

#include "worker/http/exchange/step.h"

namespace limpet::worker {

Step MirrorStep(Exchange& exchange);

}  // namespace limpet::worker
