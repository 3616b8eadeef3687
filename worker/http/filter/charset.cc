// charset, X-Accel-Charset: text says in which encoding it is, unless its type has parameters of
// its own.
#include "worker/http/filter/charset.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/text.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/hooks.h"
#include "worker/http/exchange/mime.h"

namespace limpet::worker {
namespace {

// Whether the body is in that charset, as far as source_charset says. To name another would garble
// it.
bool IsIn(Exchange& exchange, const conf::CharsetSettings& settings, std::string_view name) {
  if (!settings.source) return true;
  const std::string_view source = exchange.Evaluate(*settings.source);
  if (EqualsIgnoreCase(source, name)) return true;
  exchange.Log(
      LogLevel::kError,
      fmt::format("no \"charset_map\" between the charsets \"{}\" and \"{}\"", source, name));
  return false;
}

void Append(Exchange& exchange, std::string_view name) {
  std::string_view& type = exchange.response().content_type;
  type = exchange.arena().Concat(type, "; charset=", name);
}

// One that the configuration names; as in nginx, no other is said instead.
void AddAccelCharset(Exchange& exchange) {
  const std::string_view name = exchange.seldom().accel_charset;
  const auto is_it = [name](std::string_view known) { return EqualsIgnoreCase(known, name); };
  if (std::ranges::any_of(exchange.runtime().http.charsets, is_it)) return Append(exchange, name);
  exchange.Log(LogLevel::kError, fmt::format("unknown charset \"{}\" to override", name));
}

}  // namespace

void AddCharset(Exchange& exchange) {
  const conf::CharsetSettings& settings = exchange.location().response.charset;
  const Response& response = exchange.response();
  if (response.content_type.find(';') != std::string_view::npos) return;
  if (response.content_type.empty()) return;
  if (response.status == 301 || response.status == 302) return;
  if (!exchange.seldom().accel_charset.empty()) return AddAccelCharset(exchange);
  if (!settings.name) return;
  if (!IsOneOfTypes(settings.types, settings.any_type, response.content_type)) return;
  const std::string_view name = exchange.arena().Copy(exchange.Evaluate(*settings.name));
  if (name.empty() || name == "off" || !IsIn(exchange, settings, name)) return;
  if (!proto::IsFieldValue(name)) return LogUnfitField(exchange, "charset");
  Append(exchange, name);
}

}  // namespace limpet::worker
