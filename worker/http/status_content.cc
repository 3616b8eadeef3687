// The pages of `api` and `prometheus`: GET and HEAD only, nothing is changed through them.
#include "base/clock.h"
#include "worker/http/features.h"
#include "worker/http/upstream_runtime.h"
#include "worker/status/status.h"

namespace limpet::worker {
namespace {

bool Reads(const Exchange& exchange) {
  const proto::Method method = exchange.request().method;
  return method == proto::Method::kGet || method == proto::Method::kHead;
}

StatusSource SourceOf(Runtime& runtime) {
  StatusSource source{.http = runtime.http,
                      .counters = runtime.counters,
                      .sessions = runtime.sessions,
                      .upstreams = {},
                      .generation = runtime.generation,
                      .now_ms = MonotonicMs()};
  for (const auto& upstream : runtime.upstreams) source.upstreams.push_back(&upstream->group);
  return source;
}

StatusReply ApiReply(Exchange& exchange) {
  if (!Reads(exchange)) {
    exchange.response().headers.Add(proto::HeaderId::kAllow, "Allow", "GET, HEAD");
    return ApiError(405, "only GET and HEAD are answered here");
  }
  std::string_view prefix = *exchange.location().api;
  if (prefix.ends_with('/')) prefix.remove_suffix(1);
  std::string_view path = exchange.request().uri;
  if (!path.starts_with(prefix)) return ApiError(404, "not below the prefix of \"api\"");
  path.remove_prefix(prefix.size());
  if (path.empty()) return ApiPage(SourceOf(exchange.runtime()), path);
  if (path.front() != '/') return ApiError(404, "not below the prefix of \"api\"");
  return ApiPage(SourceOf(exchange.runtime()), path.substr(1));
}

}  // namespace

Step ApiContent(Exchange& exchange) {
  const StatusReply reply = ApiReply(exchange);
  exchange.Reply(reply.status, "application/json", exchange.arena().Copy(reply.json));
  return Step::kDone;
}

Step PrometheusContent(Exchange& exchange) {
  if (!Reads(exchange)) {
    exchange.Finish(405);
    return Step::kDone;
  }
  const std::string page = MetricsPage(SourceOf(exchange.runtime()));
  exchange.Reply(200, "text/plain; version=0.0.4", exchange.arena().Copy(page));
  return Step::kDone;
}

}  // namespace limpet::worker
