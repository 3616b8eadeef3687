// The values of limpet's own variables. Exchange::Get calls these; it keeps what IsCacheable() says
// may be kept. Values live in the exchange's arena, in the request's or response's head, or in the
// configuration.
#pragma once

#include <string_view>

#include "conf/variables.h"
#include "worker/http/exchange/exchange.h"

namespace limpet::worker {

conf::Value GetBuiltin(Exchange& exchange, conf::Builtin variable);

// $http_*, $cookie_*, $arg_*, $sent_http_*, $upstream_http_* and the other families;
// `variable.suffix` says which.
conf::Value GetPrefixed(Exchange& exchange, const conf::Variable& variable);

// Variables of geoip2 and jwt_claim.
conf::Value LookUp(Exchange& exchange, conf::Lookup where, size_t index);

// Whether a value, once computed, holds for the rest of the exchange.
bool IsCacheable(const conf::Variable& variable);

// What changes more than a value: `set $args` and `set $limit_rate`. False: it is none of them.
bool SetBuiltin(Exchange& exchange, conf::Builtin variable, std::string_view value);

}  // namespace limpet::worker
