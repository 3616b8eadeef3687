// Runs the set, if, return, rewrite and break directives of a level.
#pragma once

#include "conf/rewrite.h"
#include "worker/http/exchange/exchange.h"

namespace limpet::worker {

// kNext: ran to its end and the URI is as it was, or `break` fixed it; kLocate: the URI was
// rewritten; kDone: answered.
Step RunRewriteScript(Exchange& exchange, const conf::RewriteScript& script);

// Answers with what a `return` says.
Step RunReturn(Exchange& exchange, const conf::Return& reply);

}  // namespace limpet::worker
