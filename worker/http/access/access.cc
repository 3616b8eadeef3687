// Access control: allow and deny, auth_basic, auth_request, and how `satisfy` joins them.
#include "worker/http/access/access.h"

#include <optional>

#include "worker/http/access/auth_basic.h"
#include "worker/http/access/auth_request.h"
#include "worker/http/exchange/exchange.h"

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
    if (!Matches(rule, *exchange.request().remote)) continue;
    if (rule.allow) return 0;
    if (!settings.satisfy_any) exchange.Log(LogLevel::kError, "access forbidden by rule");
    return 403;
  }
  return std::nullopt;
}

// `satisfy any`: the first that lets the client in decides; of refusals 401 is the one that still
// leaves it a way in.
void Note(Request& request, std::optional<int> status) {
  if (!status) return;
  if (*status == 0) {
    request.access_granted = true;
    request.access_status = 0;
  } else if (request.access_status != 401) {
    request.access_status = *status;
  }
}

bool CannotBeMended(int status) { return status != 0 && status != 401 && status != 403; }

}  // namespace

Step AccessStep(Exchange& exchange) {
  const conf::AccessSettings& settings = exchange.location().access;
  Request& request = exchange.request();
  request.access_status = 0;
  request.access_granted = request.is_subrequest;
  if (request.access_granted) return Step::kNext;
  if (settings.satisfy_any) {
    Note(request, CheckAddress(exchange));
    if (!request.access_granted) Note(request, CheckBasicAuth(exchange));
    return Step::kNext;
  }
  request.access_status = CheckAddress(exchange).value_or(0);
  if (request.access_status == 0) request.access_status = CheckBasicAuth(exchange).value_or(0);
  return Step::kNext;
}

Step AuthRequestStep(Exchange& exchange) {
  const Request& request = exchange.request();
  const bool may_help = exchange.location().access.satisfy_any
                            ? !CannotBeMended(request.access_status)
                            : request.access_status == 0;
  if (request.access_granted || !may_help) return Step::kNext;
  return StartAuthRequest(exchange) ? Step::kSuspend : Step::kNext;
}

Step AuthAnswerStep(Exchange& exchange) {
  if (exchange.subrequest() == nullptr) return Step::kNext;
  Request& request = exchange.request();
  const int status = FinishAuthRequest(exchange);
  if (!exchange.location().access.satisfy_any || CannotBeMended(status)) {
    request.access_status = status;
  } else {
    Note(request, status);
  }
  return Step::kNext;
}

Step AccessDelayStep(Exchange& exchange) {
  const conf::Ms delay = exchange.location().access.auth_delay;
  if (exchange.request().access_status != 401 || delay.count() == 0) return Step::kNext;
  exchange.Delay(delay);  // the answer to a wrong password comes late: guessing costs time
  return Step::kSuspend;
}

Step AccessVerdictStep(Exchange& exchange) {
  const int status = exchange.request().access_status;
  if (status == 0) {
    if (exchange.request().access_granted && exchange.location().access.satisfy_any)
      exchange.response().headers.RemoveAll(proto::HeaderId::kWwwAuthenticate);
    return Step::kNext;
  }
  exchange.request().access_status = 0;
  if (status == 403 && exchange.location().access.satisfy_any)
    exchange.Log(LogLevel::kError, "access forbidden by rule");
  exchange.Finish(status);
  return Step::kDone;
}

}  // namespace limpet::worker
