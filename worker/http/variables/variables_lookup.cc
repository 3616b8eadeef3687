// Variables that are looked up: geoip2, jwt_claim.
#include <fmt/core.h>

#include "worker/geo/geo_readers.h"
#include "worker/http/access/realip.h"
#include "worker/http/exchange/variables.h"
#include "worker/token/token_reader.h"

namespace limpet::worker {
namespace {

conf::Value FindGeo(Exchange& exchange, size_t field) {
  GeoReaders* const readers = exchange.runtime().geo;
  const Request& request = exchange.request();
  if (readers == nullptr) return conf::Value::None();
  const conf::RealIp& proxies = exchange.runtime().http.geo.proxies;
  if (proxies.from.empty() || request.head == nullptr || !readers->TakesClient(field))
    return readers->Find(field, exchange, request.remote);
  const auto told = ForwardedFor(request.headers(), proxies, *request.remote);
  return readers->Find(field, exchange, told ? &*told : request.remote);
}

// A required one that is not there is answered by 401, as long as there is no other answer yet.
conf::Value FindClaim(Exchange& exchange, size_t claim) {
  Runtime& runtime = exchange.runtime();
  const conf::TokenClaim& conf = runtime.http.tokens.claims[claim];
  if (runtime.tokens == nullptr || exchange.request().head == nullptr) return conf::Value::None();
  const auto answer =
      runtime.tokens->Find(claim, exchange.Evaluate(conf.token), runtime.WallSeconds());
  if (answer.value) return conf::Value::Of(exchange.arena().Copy(*answer.value));
  if (exchange.LogEnabled(LogLevel::kInfo))
    exchange.Log(LogLevel::kInfo, fmt::format("no ${} from a token: {}", conf.name, answer.why));
  if (conf.required) exchange.Refuse(401);
  return conf::Value::None();
}

}  // namespace

conf::Value LookUp(Exchange& exchange, conf::Lookup where, size_t index) {
  switch (where) {
    case conf::Lookup::kGeo:
      return FindGeo(exchange, index);
    case conf::Lookup::kClaim:
      return FindClaim(exchange, index);
  }
  return conf::Value::None();
}

}  // namespace limpet::worker
