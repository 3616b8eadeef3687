#include "worker/http/exchange/steps.h"

#include <array>

#include "conf/all_locations.h"
#include "proto/escape.h"
#include "worker/http/access/access.h"
#include "worker/http/access/limit_conn.h"
#include "worker/http/access/limit_req.h"
#include "worker/http/access/realip.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/hooks.h"
#include "worker/http/exchange/mirror.h"
#include "worker/http/local/content.h"
#include "worker/http/local/try_files.h"
#include "worker/http/log/zone_requests.h"
#include "worker/http/route/locations.h"
#include "worker/http/route/rewrite.h"

namespace limpet::worker {
namespace {

bool HasRealIp(const conf::Location& location) {
  return !location.access.real_ip.from.empty() || location.access.real_ip.from_unix;
}

bool IsRoot(const conf::Location& location) { return location.kind == conf::LocationKind::kRoot; }

bool HasServerRewrite(const conf::Location& location) {
  return IsRoot(location) && !location.rewrite.empty();
}

Step ServerRewriteStep(Exchange& exchange) {
  const Step step = RunRewriteScript(exchange, exchange.request().server->root->rewrite);
  return step == Step::kLocate ? Step::kNext : step;  // the location is looked up next anyway
}

std::string_view RedirectWithSlash(Exchange& exchange, const conf::Location& location) {
  const Request& request = exchange.request();
  const std::string name = proto::EscapeUri(location.name, proto::EscapeKind::kUri);
  return request.args.empty() ? exchange.arena().Copy(name)
                              : exchange.arena().Concat(name, "?", request.args);
}

Step FindLocationStep(Exchange& exchange) {
  Request& request = exchange.request();
  request.proxy_lost = false;
  const conf::Location& root = *request.server->root;
  const LocationMatch match = FindLocation(root, request.uri, exchange);
  request.location = match.location != nullptr ? match.location : &root;
  if (request.location->internal && !request.internal) {
    exchange.Finish(404);
    return Step::kDone;
  }
  UseLocation(exchange, *request.location);
  if (exchange.RefusesBody()) return Step::kDone;
  if (!match.auto_redirect) return Step::kNext;
  exchange.Redirect(301, RedirectWithSlash(exchange, *match.location));
  return Step::kDone;
}

bool HasLimitExcept(const conf::Location& location) { return location.limit_except != nullptr; }

// limit_except: other settings for the methods it does not name.
Step LimitExceptStep(Exchange& exchange) {
  Request& request = exchange.request();
  const conf::Location& location = *request.location;
  const uint32_t bit = 1u << static_cast<unsigned>(request.method);
  if ((location.limit_except_methods & bit) == 0) request.location = location.limit_except;
  return Step::kNext;
}

// Without a location the server's own settings hold. Its script has run already.
bool HasLocationRewrite(const conf::Location& location) {
  return !IsRoot(location) && !location.rewrite.empty();
}

Step LocationRewriteStep(Exchange& exchange) {
  return RunRewriteScript(exchange, exchange.location().rewrite);
}

bool HasLimitConn(const conf::Location& location) {
  return !location.access.limit_conn.limits.empty();
}

bool HasLimitReq(const conf::Location& location) {
  return !location.access.limit_req.limits.empty();
}

// They share what they know of the client: all of them or none.
bool HasAccess(const conf::Location& location) {
  const conf::AccessSettings& access = location.access;
  return !access.rules.empty() || access.auth_basic_realm || !access.auth_request.uri.empty();
}

bool HasMirror(const conf::Location& location) { return !location.mirror.uris.empty(); }

bool HasTryFiles(const conf::Location& location) { return location.response.try_files.has_value(); }

Step ContentStepRun(Exchange& exchange) {
  const conf::Location& location = exchange.location();
  if (exchange.request().proxy_lost) {
    exchange.Log(LogLevel::kAlert, "no upstream configuration");
    exchange.Finish(500);
    return Step::kDone;
  }
  if (location.proxy.pass.set) {
    exchange.StartProxy();
    return Step::kDone;
  }
  if (location.response.empty_gif) return EmptyGifContent(exchange);
  if (location.stub_status) return StubStatusContent(exchange);
  if (location.api) return ApiContent(exchange);
  if (location.prometheus) return PrometheusContent(exchange);
  if (location.dashboard) return DashboardContent(exchange);
  return StaticContent(exchange);
}

bool HasServerZone(const conf::Location& location) {
  return IsRoot(location) && location.server->status_zone.zone >= 0;
}

constexpr std::array kSteps = {
    StepRow{"realip", RealIpStep, HasRealIp},  // first: keys of all kinds are of the real client
    StepRow{"status_zone", BeginInZoneStep, HasServerZone},
    StepRow{"server rewrite", ServerRewriteStep, HasServerRewrite},
    StepRow{"find location", FindLocationStep, nullptr},
    StepRow{"limit_except", LimitExceptStep, HasLimitExcept},
    StepRow{"rewrite", LocationRewriteStep, HasLocationRewrite},
    StepRow{"realip of the location", RealIpStep, HasRealIp},
    StepRow{"limit_req", LimitReqStep, HasLimitReq},
    StepRow{"limit_conn", LimitConnStep, HasLimitConn},
    StepRow{"access", AccessStep, HasAccess},
    StepRow{"auth_request", AuthRequestStep, HasAccess},
    StepRow{"auth_request answer", AuthAnswerStep, HasAccess},
    StepRow{"auth_delay", AccessDelayStep, HasAccess},
    StepRow{"access verdict", AccessVerdictStep, HasAccess},
    StepRow{"try_files", TryFilesStep, HasTryFiles},
    StepRow{"mirror", MirrorStep, HasMirror},
    StepRow{"content", ContentStepRun, nullptr},
};
static_assert(kSteps.size() <= 32 && kSteps.back().is_of == nullptr);
constexpr size_t kServerRewrite = 2;
constexpr size_t kLocate = 3;
static_assert(kSteps[kServerRewrite].name == "server rewrite" &&
              kSteps[kLocate].name == "find location");

}  // namespace

LocationSteps::LocationSteps(const conf::Http& http) : steps_(http.locations) {
  for (const conf::Location* location : conf::AllLocations(http)) {
    for (size_t step = 0; step < kSteps.size(); ++step) {
      const StepRow& row = kSteps[step];
      if (row.is_of == nullptr || row.is_of(*location)) steps_[location->index] |= 1u << step;
    }
  }
}

std::span<const StepRow> Steps() { return kSteps; }
size_t FirstStep() { return kServerRewrite; }
size_t LocateStep() { return kLocate; }
size_t AfterLocateStep() { return kLocate + 1; }
size_t ContentStep() { return kSteps.size() - 1; }

}  // namespace limpet::worker
