// charset: text says in which encoding it is, unless its type has parameters of its own.
#include "worker/http/filter/charset.h"

#include <fmt/core.h>

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

}  // namespace

void AddCharset(Exchange& exchange) {
  const conf::CharsetSettings& settings = exchange.location().response.charset;
  Response& response = exchange.response();
  if (!settings.name || response.content_type.find(';') != std::string_view::npos) return;
  if (response.content_type.empty()) return;
  if (response.status == 301 || response.status == 302) return;
  if (!IsOneOfTypes(settings.types, settings.any_type, response.content_type)) return;
  const std::string_view name = exchange.arena().Copy(exchange.Evaluate(*settings.name));
  if (name.empty() || name == "off" || !IsIn(exchange, settings, name)) return;
  if (!proto::IsFieldValue(name)) return LogUnfitField(exchange, "charset");
  response.content_type = exchange.arena().Concat(response.content_type, "; charset=", name);
}

}  // namespace limpet::worker
