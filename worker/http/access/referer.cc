// $invalid_referer: whether Referer names none of valid_referers.
#include "worker/http/access/referer.h"

#include "base/text.h"
#include "conf/named_groups.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/route/server_names.h"

namespace limpet::worker {
namespace {

// What follows http:// or https://; nullopt: it was cut off, by a firewall or by the browser.
std::optional<std::string_view> WithoutScheme(std::string_view referer) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (StartsWithIgnoreCase(referer, scheme)) return referer.substr(scheme.size());
  }
  return std::nullopt;
}

bool IsServerName(Exchange& exchange, std::string_view host) {
  const std::string lower = ToLower(host);
  for (const conf::ServerName& name : exchange.request().server->names) {
    const bool fits = name.regex != nullptr ? conf::Matches(exchange, *name.regex, lower, nullptr)
                                            : IsName(name, lower);
    if (fits) return true;
    if (exchange.match_failed()) return false;
  }
  return false;
}

bool IsValid(Exchange& exchange, const conf::Referers& valid) {
  const proto::Header* field = exchange.request().headers().Find(proto::HeaderId::kReferer);
  if (field == nullptr) return valid.none;
  const auto rest = WithoutScheme(field->value);
  if (!rest) return valid.blocked;
  const size_t slash = std::min(rest->find('/'), rest->size());
  const std::string_view path = rest->substr(slash);
  const std::string_view host = rest->substr(0, std::min(rest->find(':'), slash));
  if (valid.server_names && IsServerName(exchange, host)) return true;
  if (exchange.match_failed()) return false;
  if (const std::string* prefix = valid.names.Find(host)) return path.starts_with(*prefix);
  for (const auto& regex : valid.patterns) {
    if (conf::Matches(exchange, *regex, *rest, nullptr)) return true;
    if (exchange.match_failed()) return false;
  }
  return false;
}

}  // namespace

conf::Value GetInvalidReferer(Exchange& exchange) {
  const conf::Referers& valid = exchange.location().access.referers;
  return conf::Value::Of(!valid.set || IsValid(exchange, valid) ? "" : "1");
}

}  // namespace limpet::worker
