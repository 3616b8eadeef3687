// $invalid_referer.
#pragma once

#include "conf/variables.h"

namespace limpet::worker {

class Exchange;

conf::Value GetInvalidReferer(Exchange& exchange);

}  // namespace limpet::worker
