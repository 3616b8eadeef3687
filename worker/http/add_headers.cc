#include "worker/http/add_headers.h"

#include "base/clock.h"
#include "worker/http/expires.h"
#include "worker/http/features.h"

namespace limpet::worker {
namespace {

using proto::HeaderId;

// These replace what the response has; all others are added to it.
void AddOne(Exchange& exchange, const conf::AddHeader& rule) {
  Response& response = exchange.response();
  const std::string_view value = exchange.arena().Copy(exchange.Evaluate(rule.value));
  switch (proto::LookupHeader(rule.name)) {
    case HeaderId::kEtag:
      response.etag = value;
      return;
    case HeaderId::kLastModified:
      response.last_modified_text = value;
      response.last_modified = -1;
      return;
    default:
      if (!value.empty()) response.headers.Add(rule.name, value);
  }
}

}  // namespace

void AddResponseHeaders(Exchange& exchange) {
  const conf::ResponseSettings& settings = exchange.location().response;
  Response& response = exchange.response();
  const bool safe = IsSafeStatus(response.status);
  const bool has_expires =
      settings.expires.kind != conf::Expires::Kind::kOff || !settings.expires.variable.empty();
  if (has_expires && safe) ApplyExpires(exchange);
  for (const conf::AddHeader& rule : settings.add_headers) {
    if (safe || rule.always) AddOne(exchange, rule);
  }
  for (const conf::AddHeader& rule : settings.add_trailers) {
    response.expects_trailers |= safe || rule.always;
  }
}

void AddResponseTrailers(Exchange& exchange) {
  const auto& rules = exchange.location().response.add_trailers;
  if (rules.empty()) return;
  Response& response = exchange.response();
  const bool safe = IsSafeStatus(response.status);
  for (const conf::AddHeader& rule : rules) {
    if (!safe && !rule.always) continue;
    const std::string_view value = exchange.arena().Copy(exchange.Evaluate(rule.value));
    if (!value.empty()) response.trailers.Add(rule.name, value);
  }
}

}  // namespace limpet::worker
