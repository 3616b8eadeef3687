// early_hints: 103 of an upstream (RFC 8297) on its way to the client.
#include "worker/http/proxy/early_hints.h"

#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/hooks.h"
#include "worker/http/proxy/proxy_plan.h"

namespace limpet::worker {
namespace {

bool IsWanted(Exchange& exchange) {
  for (const conf::Template& condition : exchange.location().response.early_hints) {
    const std::string_view value = exchange.Evaluate(condition);
    if (!value.empty() && value != "0") return true;
  }
  return false;
}

}  // namespace

void PassEarlyHints(Exchange& exchange, const proto::ResponseHead& head) {
  using proto::HeaderId;
  if (head.status != 103 || !exchange.request().head->is_http11() || !IsWanted(exchange)) return;
  if (exchange.stream().blocked()) return;  // they are of no use to a client that is behind
  const ProxyPlan& plan = exchange.runtime().proxy_plans.For(exchange.location());
  proto::HeaderList fields;
  for (const proto::Header& header : head.headers) {
    if (proto::IsOfTheHop(header.id) || header.id == HeaderId::kKeepAlive) continue;
    if (plan.hidden.Has(header)) continue;
    if (header.fit || proto::IsFieldValue(header.value)) {
      fields.Add(header.id, header.name, header.value, true);
    } else {
      LogUnfitField(exchange, header.name);
    }
  }
  exchange.stream().SendInterim(head.status, fields);
}

}  // namespace limpet::worker
