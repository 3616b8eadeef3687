#include "worker/http/add_headers.h"

#include "base/clock.h"
#include "worker/http/expires.h"
#include "worker/http/features.h"

namespace limpet::worker {
namespace {

using proto::HeaderId;

// The response has one end, and its writer says where.
bool IsOurs(Exchange& exchange, const proto::HeaderId id, std::string_view value) {
  if (id == HeaderId::kConnection && proto::ListHasToken(value, "close"))
    exchange.stream().CloseAfterResponse();
  return proto::IsOfTheHop(id);
}

// These replace what the response has; all others are added to it.
void AddOne(Exchange& exchange, const conf::AddHeader& rule) {
  Response& response = exchange.response();
  const std::string_view value = exchange.arena().Copy(exchange.Evaluate(rule.value));
  const HeaderId id = proto::LookupHeader(rule.name);
  if (IsOurs(exchange, id, value)) return;
  switch (id) {
    case HeaderId::kEtag:
      response.etag = value;
      return;
    case HeaderId::kLastModified:
      response.last_modified_text = value;
      response.last_modified = -1;
      return;
    default:
      if (!value.empty()) response.headers.Add(id, rule.name, value);
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
    const HeaderId id = proto::LookupHeader(rule.name);
    if (!value.empty() && !proto::IsOfTheHop(id)) response.trailers.Add(id, rule.name, value);
  }
}

}  // namespace limpet::worker
