// Content from the file system, for those that share work with static_files.cc.
#pragma once

#include "worker/http/exchange.h"

namespace limpet::worker {

// The request's URI ends in a slash: an internal redirect to the first index file there is, or an
// error.
Step IndexContent(Exchange& exchange);

}  // namespace limpet::worker
