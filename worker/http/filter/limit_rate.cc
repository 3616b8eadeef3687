#include "worker/http/filter/limit_rate.h"

#include "conf/units.h"

namespace limpet::worker {

uint64_t EvaluateSize(Exchange& exchange, const conf::Template& text) {
  if (text.empty()) return 0;
  const std::string_view value = exchange.Evaluate(text);
  if (value.empty()) return 0;
  if (const auto size = conf::ParseSizeUnits(value, false)) return static_cast<uint64_t>(*size);
  exchange.Log(LogLevel::kError, fmt::format("invalid size \"{}\"", value));
  return 0;
}

uint64_t ClientRate(Exchange& exchange) {
  if (!exchange.limit_rate_set()) {
    const conf::Template& text = exchange.location().client.limit_rate;
    if (text.empty()) return 0;
    exchange.set_limit_rate(EvaluateSize(exchange, text));
  }
  return exchange.limit_rate();
}

uint64_t ClientRateAfter(Exchange& exchange) {
  if (!exchange.seldom().limit_rate_after) {
    const conf::Template& text = exchange.location().client.limit_rate_after;
    exchange.SeldomToSet().limit_rate_after = EvaluateSize(exchange, text);
  }
  return *exchange.seldom().limit_rate_after;
}

}  // namespace limpet::worker
