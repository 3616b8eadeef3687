// charset: text says in which encoding it is, unless its type has parameters of its own.
#include "worker/http/filter/charset.h"

#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/hooks.h"
#include "worker/http/exchange/mime.h"

namespace limpet::worker {

void AddCharset(Exchange& exchange) {
  const conf::CharsetSettings& settings = exchange.location().response.charset;
  Response& response = exchange.response();
  if (!settings.name || response.content_type.find(';') != std::string_view::npos) return;
  if (response.content_type.empty()) return;
  if (response.status == 301 || response.status == 302) return;
  if (!IsOneOfTypes(settings.types, settings.any_type, response.content_type)) return;
  if (!response.headers.Value(proto::HeaderId::kContentEncoding).empty()) return;
  const std::string_view name = exchange.Evaluate(*settings.name);
  if (name.empty() || name == "off") return;
  if (!proto::IsFieldValue(name)) return LogUnfitField(exchange, "charset");
  response.content_type = exchange.arena().Concat(response.content_type, "; charset=", name);
}

}  // namespace limpet::worker
