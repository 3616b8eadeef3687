#include "worker/http/exchange/zone_key.h"

#include <fmt/core.h>

#include "worker/http/exchange/exchange.h"

namespace limpet::worker {

std::optional<std::string_view> KeyOf(Exchange& exchange, const conf::Template& key, size_t most,
                                      LogLevel level) {
  const std::string_view value = exchange.Evaluate(key);
  if (value.empty()) return std::nullopt;
  if (value.size() <= most) return value;
  exchange.Log(level, fmt::format("the value of the \"{}\" key is more than {} bytes: \"{}\"",
                                  key.source(), most, value));
  return std::nullopt;
}

}  // namespace limpet::worker
