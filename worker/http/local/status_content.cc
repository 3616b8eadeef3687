// The pages of `api`, `prometheus` and `dashboard`. GET and HEAD change nothing; other methods of
// `api` are read with their body and carried out in short steps between other work.
#include <fmt/format.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "worker/geo/geo_readers.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/local/content.h"
#include "worker/http/proxy/explain.h"
#include "worker/http/proxy/upstream_runtime.h"
#include "worker/http/route/server_names.h"
#include "worker/status/api.h"
#include "worker/status/caller.h"
#include "worker/status/dashboard.h"
#include "worker/status/status.h"
#include "worker/token/token_reader.h"

namespace limpet::worker {
namespace {

bool Reads(const Exchange& exchange) {
  const proto::Method method = exchange.request().method;
  return method == proto::Method::kGet || method == proto::Method::kHead;
}

std::string LocalAddress(const SocketAddress& local) {
  return local.is_unix() ? local.ToString() : local.HostString();
}

StatusSource SourceOf(Exchange& exchange) {
  Runtime& runtime = exchange.runtime();
  StatusSource source{.http = runtime.http,
                      .counters = runtime.counters,
                      .sessions = runtime.sessions,
                      .stores = runtime.stores,
                      .upstreams = {},
                      .generation = runtime.generation,
                      .now_ms = MonotonicMs(),
                      .master_pid = ::getppid(),
                      .may_write = exchange.location().api_write,
                      .pulses = runtime.pulses,
                      .status = runtime.status,
                      .traffic_places = runtime.traffic_places,
                      .status_zones = runtime.zones.zones(),
                      .limit_req = runtime.limit_req,
                      .limit_conn = runtime.limit_conn,
                      .certificate_ends = runtime.certificate_ends,
                      .server_address = LocalAddress(exchange.client().local())};
  if (runtime.geo != nullptr) source.geo = runtime.geo->States();
  if (runtime.tokens != nullptr) source.tokens = &runtime.tokens->figures();
  for (const auto& upstream : runtime.upstreams) {
    upstream->group.Update();
    source.upstreams.push_back(&upstream->group);
  }
  return source;
}

// The path below `prefix`; nothing if the request's is elsewhere.
std::optional<std::string_view> PathBelow(std::string_view prefix, std::string_view path) {
  if (prefix.ends_with('/')) prefix.remove_suffix(1);
  if (!path.starts_with(prefix)) return std::nullopt;
  path.remove_prefix(prefix.size());
  if (path.empty()) return path;
  return path.front() == '/' ? std::optional(path.substr(1)) : std::nullopt;
}

void Send(Exchange& exchange, const StatusReply& reply) {
  if (!reply.allow.empty())
    exchange.response().headers.Add(proto::HeaderId::kAllow, "Allow", reply.allow);
  exchange.response().headers.Add("Cache-Control", "no-store");
  exchange.Reply(reply.status, "application/json", exchange.arena().Copy(reply.json));
}

// A body in another type would be one that any web page can make a browser send.
bool HasJsonBody(const Exchange& exchange) {
  const Request& request = exchange.request();
  if (request.framing.kind == proto::BodyKind::kNone) return true;
  const proto::Header* type = request.headers().Find(proto::HeaderId::kContentType);
  if (type == nullptr) return false;
  const std::string_view media = TrimSpaces(type->value.substr(0, type->value.find(';')));
  return EqualsIgnoreCase(media, "application/json");
}

// A request that changes something: its body is awaited, then the call takes its steps. Lives until
// the exchange ends.
class ApiWriter final : public RequestBodySink {
 public:
  ApiWriter(Exchange& exchange, std::string_view path)
      : exchange_(exchange),
        path_(path),
        timer_(exchange.runtime().loop, Callback::To<&ApiWriter::OnTimer>(this)) {}

  void OnBodyReady() override {
    const Request& request = exchange_.request();
    const StatusSource source = SourceOf(exchange_);
    call_.emplace(source, ApiRequest{.method = request.method_name,
                                     .path = path_,
                                     .args = request.args,
                                     .body = exchange_.body().InMemory(),
                                     .may_write = source.may_write});
    GoOn();
  }

 private:
  void OnTimer() {
    if (exchange_.phase() == Phase::kDone) return;  // given up in the same pass of the loop
    call_->Step();
    GoOn();
  }
  void GoOn() {
    if (call_->done()) return Send(exchange_, call_->reply());
    timer_.Arm(std::chrono::milliseconds(1));
  }

  Exchange& exchange_;
  std::string_view path_;
  Timer timer_;
  std::optional<ApiCall> call_;
};

void StartWriting(Exchange& exchange, std::string_view path) {
  const proto::Framing& framing = exchange.request().framing;
  if (framing.kind == proto::BodyKind::kLength && framing.length > ApiCall::kMaxBody)
    return Send(exchange, ApiError(413, "the body is too long"));
  if (framing.kind == proto::BodyKind::kChunked)
    return Send(exchange, ApiError(411, "the body must have a length"));
  if (!HasJsonBody(exchange))
    return Send(exchange, ApiError(415, "the body must be application/json"));
  const auto writer = std::make_shared<ApiWriter>(exchange, path);
  exchange.AtEnd([writer] {});
  exchange.body().Start(RequestBody::Mode::kBuffered, writer.get());
}

std::string_view RefusedCaller(const Exchange& exchange) {
  const Request& request = exchange.request();
  return RefuseCaller({.host = request.host,
                       .port = request.host_port,
                       .is_our_name = IsNameOf(*request.server, request.host),
                       .changes = !Reads(exchange),
                       .headers = request.headers()});
}

// Of a page that is no JSON. True: it has been answered.
bool RefusesPage(Exchange& exchange) {
  const std::string_view why = RefusedCaller(exchange);
  if (!Reads(exchange)) {
    exchange.Finish(405);
  } else if (!why.empty()) {
    exchange.Reply(403, "text/plain", exchange.arena().Copy(fmt::format("{}\n", why)));
  } else {
    return false;
  }
  return true;
}

}  // namespace

namespace {

// In the api's tree. As in Angie, the location may be anywhere: what follows its own path follows
// the prefix.
std::optional<std::string_view> ApiPath(Exchange& exchange) {
  const conf::Location& location = exchange.location();
  const std::string_view uri = exchange.request().uri;
  const bool is_regex = location.kind == conf::LocationKind::kRegex;
  auto path = PathBelow(*location.api, uri);
  if (!path && !is_regex) path = PathBelow(location.name, uri);
  if (location.api_subtree.empty()) return path;
  path = is_regex ? std::optional<std::string_view>("") : PathBelow(location.name, uri);
  if (!path) return std::nullopt;
  const std::string_view slash = path->empty() ? "" : "/";
  return exchange.arena().Concat(location.api_subtree, slash, *path);
}

}  // namespace

Step ApiContent(Exchange& exchange) {
  const auto path = ApiPath(exchange);
  if (!path) {
    Send(exchange, ApiError(404, "not below the prefix of \"api\""));
    return Step::kDone;
  }
  if (const std::string_view why = RefusedCaller(exchange); !why.empty()) {
    Send(exchange, ApiError(403, why));
    return Step::kDone;
  }
  if (*path == "explain" && Reads(exchange)) {
    Send(exchange, Explain(exchange.runtime(), exchange.request().args));
    return Step::kDone;
  }
  const ApiRequest request{.method = exchange.request().method_name,
                           .path = *path,
                           .args = exchange.request().args,
                           .body = {},
                           .may_write = exchange.location().api_write};
  if (ChangesState(request.method) && request.may_write) {
    StartWriting(exchange, *path);
  } else {
    Send(exchange, ApiCall(SourceOf(exchange), request).reply());
  }
  return Step::kDone;
}

// Scrapers come by whatever name a service has.
Step PrometheusContent(Exchange& exchange) {
  if (!Reads(exchange)) {
    exchange.Finish(405);
    return Step::kDone;
  }
  const std::string page = MetricsPage(SourceOf(exchange));
  exchange.Reply(200, "text/plain; version=0.0.4", exchange.arena().Copy(page));
  return Step::kDone;
}

// The page is one document at the location itself; what it shows it fetches from the api.
Step DashboardContent(Exchange& exchange) {
  const conf::Location& location = exchange.location();
  const auto path = PathBelow(location.name, exchange.request().uri);
  if (location.kind != conf::LocationKind::kRegex && (!path || !path->empty())) {
    exchange.Finish(404);
    return Step::kDone;
  }
  if (RefusesPage(exchange)) return Step::kDone;
  const Dashboard page = MakeDashboard(*location.dashboard);
  proto::HeaderList& headers = exchange.response().headers;
  headers.Add("Content-Security-Policy", exchange.arena().Copy(page.policy));
  headers.Add("X-Content-Type-Options", "nosniff");
  headers.Add("Referrer-Policy", "no-referrer");
  headers.Add("Cache-Control", "no-store");
  exchange.Reply(200, "text/html; charset=utf-8", exchange.arena().Copy(page.html));
  return Step::kDone;
}

}  // namespace limpet::worker
