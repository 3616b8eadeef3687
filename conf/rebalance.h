// What `rebalance` and `move=` require of their upstream and its zone of sessions.
#pragma once

#include "conf/config.h"
#include "conf/directive.h"

namespace limpet::conf {

// Once all upstreams are read.
Status CheckRebalance(const Http& http);

}  // namespace limpet::conf
