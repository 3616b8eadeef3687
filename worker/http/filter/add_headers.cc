// add_header, add_trailer and expires.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "proto/escape.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/hooks.h"
#include "worker/http/filter/expires.h"

namespace limpet::worker {
namespace {

// Whether add_header without `always` applies.
constexpr bool IsSafeStatus(int status) {
  switch (status) {
    case 200:
    case 201:
    case 204:
    case 206:
    case 301:
    case 302:
    case 303:
    case 304:
    case 307:
    case 308:
      return true;
    default:
      return false;
  }
}

using proto::HeaderId;

// Fields that keep a browser or a cache from something: a response is not sent without them.
constexpr std::array<std::string_view, 14> kProtecting = {"Cache-Control",
                                                          "Clear-Site-Data",
                                                          "Content-Disposition",
                                                          "Content-Security-Policy",
                                                          "Content-Type",
                                                          "Cross-Origin-Embedder-Policy",
                                                          "Cross-Origin-Opener-Policy",
                                                          "Cross-Origin-Resource-Policy",
                                                          "Permissions-Policy",
                                                          "Referrer-Policy",
                                                          "Strict-Transport-Security",
                                                          "Vary",
                                                          "X-Content-Type-Options",
                                                          "X-Frame-Options"};

bool Protects(std::string_view name) {
  return std::any_of(kProtecting.begin(), kProtecting.end(),
                     [name](std::string_view other) { return EqualsIgnoreCase(name, other); });
}

std::string_view EscapeUrl(Exchange& exchange, std::string_view url) {
  if (!proto::NeedsEscape(url, proto::EscapeKind::kLine)) return url;
  return exchange.arena().Copy(proto::EscapeUri(url, proto::EscapeKind::kLine));
}

// The response has one end, and its writer says where.
bool IsOurs(Exchange& exchange, HeaderId id, std::string_view value) {
  if (id == HeaderId::kConnection && proto::ListHasToken(value, "close"))
    exchange.stream().LastForClient();
  return proto::IsOfTheHop(id);
}

// ETag and Last-Modified replace what the response has; all others are added to it.
void AddOne(Exchange& exchange, const conf::AddHeader& rule, std::string_view value) {
  Response& response = exchange.response();
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
    case HeaderId::kLocation:
      if (!value.empty()) response.headers.Add(rule.name, EscapeUrl(exchange, value));
      return;
    default:
      if (!value.empty()) response.headers.Add(id, rule.name, value);
  }
}

}  // namespace

void LogUnfitField(const Exchange& exchange, std::string_view name) {
  exchange.Log(LogLevel::kError,
               fmt::format("\"{}\" is left out of the head: its value has CR, LF or NUL", name));
}

namespace {

bool AddHeaders(Exchange& exchange, bool safe, bool refused) {
  const conf::ResponseSettings& settings = exchange.location().response;
  const bool has_expires =
      settings.expires.kind != conf::Expires::Kind::kOff || !settings.expires.variable.empty();
  if (has_expires && safe) ApplyExpires(exchange);
  bool complete = true;
  for (const conf::AddHeader& rule : settings.add_headers) {
    if (!safe && !rule.always) continue;
    const std::string_view value = exchange.arena().Copy(exchange.Evaluate(rule.value));
    if (proto::IsFieldValue(value) || !Protects(rule.name) || proto::UnfoldFieldValue(value)) {
      AddOne(exchange, rule, value);
    } else if (!refused) {
      LogUnfitField(exchange, rule.name);
      complete = false;
    }
  }
  return complete;
}

}  // namespace

bool AddResponseHeaders(Exchange& exchange, bool refused) {
  Response& response = exchange.response();
  const bool safe = IsSafeStatus(response.status);
  for (const conf::AddHeader& rule : exchange.location().response.add_trailers) {
    response.expects_trailers |= safe || rule.always;
  }
  return response.has_own_fields || AddHeaders(exchange, safe, refused);
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
    if (!value.empty() && !proto::IsOfTheHop(id))
      response.TrailersToFill().Add(id, rule.name, value);
  }
}

}  // namespace limpet::worker
