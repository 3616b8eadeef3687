// limit_conn: requests under way at the same time.
#pragma once

#include "worker/http/exchange/step.h"

namespace limpet::worker {

Step LimitConnStep(Exchange& exchange);

}  // namespace limpet::worker
