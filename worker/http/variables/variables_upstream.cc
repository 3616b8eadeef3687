// Variables that tell of the upstream: each peer that was tried, the response head, and how the
// session stuck.
#include "proto/cookie.h"
#include "worker/http/proxy/proxy_exchange.h"
#include "worker/http/variables/trace_text.h"
#include "worker/http/variables/variable_getters.h"

namespace limpet::worker {

using conf::Value;

namespace {

template <class Append>
Value PerAttempt(Exchange& exchange, Append append) {
  const auto& attempts = exchange.upstream_trace().attempts();
  if (attempts.empty()) return Value::None();
  fmt::memory_buffer text;
  AppendAttempts(attempts, &text, append);
  return Value::Of(exchange.arena().Copy({text.data(), text.size()}));
}

template <auto kField>
Value TimesOf(Exchange& exchange) {
  return PerAttempt(exchange, [](const UpstreamAttempt& attempt, fmt::memory_buffer* out) {
    AppendAttemptTime(attempt.*kField, out);
  });
}

template <auto kField>
Value NumbersOf(Exchange& exchange) {
  return PerAttempt(exchange, [](const UpstreamAttempt& attempt, fmt::memory_buffer* out) {
    fmt::format_to(std::back_inserter(*out), "{}", attempt.*kField);
  });
}

// Of this request: the object is kept for later ones.
const ProxyExchange* ProxyOf(Exchange& exchange) {
  const bool proxied = exchange.phase() == Phase::kProxying || !exchange.upstream_trace().empty();
  return proxied ? exchange.proxy() : nullptr;
}

const proto::ResponseHead* HeadOf(Exchange& exchange) {
  const ProxyExchange* const proxy = ProxyOf(exchange);
  return proxy != nullptr ? proxy->upstream_head() : nullptr;
}

}  // namespace

Value GetProxyHost(Exchange& exchange) {
  const ProxyExchange* const proxy = ProxyOf(exchange);
  return proxy != nullptr ? Value::Of(proxy->proxy_host()) : Value::None();
}

Value GetProxyPort(Exchange& exchange) {
  const ProxyExchange* const proxy = ProxyOf(exchange);
  return proxy != nullptr ? Value::Of(proxy->proxy_port()) : Value::None();
}

Value GetUpstreamAddr(Exchange& exchange) {
  return PerAttempt(exchange, [](const UpstreamAttempt& attempt, fmt::memory_buffer* out) {
    out->append(attempt.peer);
  });
}

Value GetUpstreamStatus(Exchange& exchange) {
  return PerAttempt(exchange, [](const UpstreamAttempt& attempt, fmt::memory_buffer* out) {
    if (attempt.status == 0) return out->push_back('-');
    fmt::format_to(std::back_inserter(*out), "{}", attempt.status);
  });
}

Value GetUpstreamConnectTime(Exchange& exchange) {
  return TimesOf<&UpstreamAttempt::connect_ms>(exchange);
}
Value GetUpstreamHeaderTime(Exchange& exchange) {
  return TimesOf<&UpstreamAttempt::header_ms>(exchange);
}
Value GetUpstreamResponseTime(Exchange& exchange) {
  return TimesOf<&UpstreamAttempt::response_ms>(exchange);
}
Value GetUpstreamResponseLength(Exchange& exchange) {
  return NumbersOf<&UpstreamAttempt::response_length>(exchange);
}
Value GetUpstreamBytesReceived(Exchange& exchange) {
  return NumbersOf<&UpstreamAttempt::bytes_received>(exchange);
}
Value GetUpstreamBytesSent(Exchange& exchange) {
  return NumbersOf<&UpstreamAttempt::bytes_sent>(exchange);
}

Value GetUpstreamHeader(Exchange& exchange, std::string_view suffix) {
  const proto::ResponseHead* const head = HeadOf(exchange);
  return head != nullptr ? JoinFields(exchange, head->headers, suffix, ", ") : Value::None();
}

Value GetUpstreamTrailer(Exchange& exchange, std::string_view suffix) {
  const ProxyExchange* const proxy = ProxyOf(exchange);
  const proto::HeaderList* trailers = proxy != nullptr ? proxy->upstream_trailers() : nullptr;
  return trailers != nullptr ? JoinFields(exchange, *trailers, suffix, ", ") : Value::None();
}

Value GetUpstreamCookie(Exchange& exchange, std::string_view name) {
  const proto::ResponseHead* const head = HeadOf(exchange);
  if (head == nullptr) return Value::None();
  const auto value = proto::FindSetCookie(head->headers, name);
  return value ? Value::Of(*value) : Value::None();
}

Value GetUpstreamLastServerName(Exchange& exchange) {
  const ProxyExchange* const proxy = ProxyOf(exchange);
  const Peer* const peer = proxy != nullptr ? proxy->peer() : nullptr;
  return peer != nullptr ? Value::Of(peer->server) : Value::None();
}

Value GetStickyStatus(Exchange& exchange) {
  const ProxyExchange* const proxy = ProxyOf(exchange);
  return proxy != nullptr ? TextOrNone(Name(proxy->sticky_state().status)) : Value::None();
}

// Angie's three words, for each attempt.
Value GetUpstreamStickyStatus(Exchange& exchange) {
  return PerAttempt(exchange, [](const UpstreamAttempt& attempt, fmt::memory_buffer* out) {
    out->append(attempt.status == 0 ? std::string_view("-") : attempt.sticky);
  });
}

Value GetStickyServer(Exchange& exchange) {
  const ProxyExchange* const proxy = ProxyOf(exchange);
  const Peer* const bound = proxy != nullptr ? proxy->sticky_state().bound : nullptr;
  return bound != nullptr ? Value::Of(bound->name) : Value::None();
}

Value GetStickyAge(Exchange& exchange) {
  const ProxyExchange* const proxy = ProxyOf(exchange);
  if (proxy == nullptr || !proxy->sticky_state().has_age) return Value::None();
  return SecondsOf(exchange, static_cast<int64_t>(proxy->sticky_state().idle_ms));
}

}  // namespace limpet::worker
