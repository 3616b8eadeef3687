// GET …/explain?upstream=NAME&cookie=…: the choice of a server rehearsed with the code that makes
// it, and told step by step. Nothing changes by it: no weight, no counter, no session.
#pragma once

#include <string_view>

#include "worker/http/exchange/runtime.h"
#include "worker/status/status.h"

namespace limpet::worker {

// `args`: upstream=, and of the imagined request cookie= (the value of the cookie that sticky looks
// at, or the key of its session), route=, key= (of hash), client= (an address); or any variable of
// the configuration by its name, as http_x_user=.
StatusReply Explain(Runtime& runtime, std::string_view args);

}  // namespace limpet::worker
