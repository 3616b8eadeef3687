// Access control: allow and deny, auth_basic, and how `satisfy` joins them.
#include <optional>

#include "worker/http/auth_basic.h"
#include "worker/http/features.h"

namespace limpet::worker {
namespace {

bool Matches(const conf::AccessRule& rule, const SocketAddress& address) {
  if (rule.all) return true;
  if (rule.unix_sockets) return address.is_unix();
  return !address.is_unix() && rule.network.Contains(address);
}

// nullopt: no rule speaks of this client.
std::optional<int> CheckAddress(Exchange& exchange) {
  const conf::AccessSettings& settings = exchange.location().access;
  for (const conf::AccessRule& rule : settings.rules) {
    if (!Matches(rule, exchange.request().remote)) continue;
    if (rule.allow) return 0;
    if (!settings.satisfy_any) exchange.Log(LogLevel::kError, "access forbidden by rule");
    return 403;
  }
  return std::nullopt;
}

Step Refuse(Exchange& exchange, int status) {
  const conf::Ms delay = exchange.location().access.auth_delay;
  if (status != 401 || delay.count() == 0) {
    exchange.Finish(status);
    return Step::kDone;
  }
  // The answer to a wrong password comes late: guessing costs time.
  exchange.request().access_status = status;
  exchange.Delay(delay);
  return Step::kSuspend;
}

Step SatisfyAny(Exchange& exchange) {
  const std::optional<int> address = CheckAddress(exchange);
  if (address == 0) return Step::kNext;
  const std::optional<int> user = CheckBasicAuth(exchange);
  if (user == 0) return Step::kNext;
  if (user && *user != 401 && *user != 403) return Refuse(exchange, *user);
  if (user == 401) return Refuse(exchange, 401);  // a password may still help
  if (address || user) {
    if (address) exchange.Log(LogLevel::kError, "access forbidden by rule");
    return Refuse(exchange, 403);
  }
  return Step::kNext;
}

}  // namespace

Step AccessStep(Exchange& exchange) {
  const conf::AccessSettings& settings = exchange.location().access;
  if (settings.rules.empty() && !settings.auth_basic_realm) return Step::kNext;
  if (settings.satisfy_any) return SatisfyAny(exchange);
  if (CheckAddress(exchange).value_or(0) != 0) return Refuse(exchange, 403);
  const std::optional<int> status = CheckBasicAuth(exchange);
  return status.value_or(0) != 0 ? Refuse(exchange, *status) : Step::kNext;
}

Step AccessVerdictStep(Exchange& exchange) {
  const int status = exchange.request().access_status;
  if (status == 0) return Step::kNext;
  exchange.request().access_status = 0;
  exchange.Finish(status);
  return Step::kDone;
}

}  // namespace limpet::worker
