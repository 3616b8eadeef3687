#include "worker/http/access/auth_request.h"

#include <fmt/core.h>

#include "worker/http/exchange/subrequest.h"
#include "worker/http/route/error_page.h"

namespace limpet::worker {
namespace {

// Its variables are asked for before the verdict: a page of ours may show them.
void SetVariables(Exchange& exchange, Exchange& answer) {
  for (const conf::AuthRequest::Set& set : exchange.location().access.auth_request.sets) {
    exchange.SetVariable(set.variable, exchange.arena().Copy(answer.Evaluate(set.value)));
  }
}

}  // namespace

bool StartAuthRequest(Exchange& exchange) {
  const std::string& uri = exchange.location().access.auth_request.uri;
  if (uri.empty()) return false;
  exchange.Suspend();
  exchange.set_subrequest(
      std::make_unique<Subrequest>(exchange, Callback::To<&Exchange::Resume>(&exchange)));
  exchange.subrequest()->Start(uri);
  return true;
}

int FinishAuthRequest(Exchange& exchange) {
  Subrequest& subrequest = *exchange.subrequest();
  const int status = subrequest.status();
  SetVariables(exchange, subrequest.exchange());
  const bool failed = subrequest.exchange().match_failed();  // which has been told
  if (status == 401) CopyChallenges(exchange, subrequest.exchange().response().headers);
  exchange.set_subrequest(nullptr);
  if (failed) return 500;
  if (status >= 200 && status < 300) return 0;
  if (status == 401 || status == 403) return status;
  exchange.Log(LogLevel::kError, fmt::format("auth request unexpected status: {}", status));
  return 500;
}

}  // namespace limpet::worker
