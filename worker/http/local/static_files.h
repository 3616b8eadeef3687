// Content from the file system, for those that share work with static_files.cc.
#pragma once

#include <string_view>

#include "worker/http/exchange/exchange.h"

namespace limpet::worker {

// The request's URI ends in a slash: an internal redirect to the first index file there is, or an
// error.
Step IndexContent(Exchange& exchange);

// autoindex.cc: a page of what is in the folder `path` (with a zero byte behind its end).
Step AutoIndexContent(Exchange& exchange, std::string_view path);

}  // namespace limpet::worker
