#include "worker/http/access/auth_request.h"

#include <fmt/core.h>

#include "worker/http/exchange/subrequest.h"
#include "worker/http/route/error_page.h"

namespace limpet::worker {
namespace {

// As in nginx a request and what it asks share what `set` says.
void TakeScriptVariables(Exchange& exchange, Exchange& answer) {
  const auto& variables = exchange.runtime().http.variables;
  for (conf::VariableId id = 0; id < variables.size(); ++id) {
    const conf::Variable& variable = variables[id];
    const bool is_own = variable.kind == conf::VariableKind::kUser && variable.of_script;
    if (!is_own || !answer.variables().Has(id)) continue;
    const std::string_view value = answer.variables().Get(id).text;
    if (exchange.variables().Get(id).text == value) continue;
    exchange.SetVariable(id, exchange.arena().Copy(value));
  }
}

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
  TakeScriptVariables(exchange, subrequest.exchange());
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
