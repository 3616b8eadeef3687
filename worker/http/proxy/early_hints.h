// early_hints: 103 of an upstream.
#pragma once

#include "proto/http1/message.h"

namespace limpet::worker {

class Exchange;

// If early_hints lets it through.
void PassEarlyHints(Exchange& exchange, const proto::ResponseHead& head);

}  // namespace limpet::worker
