// Variables that tell of the request: its line, its fields, its body.
#include "worker/http/access/auth_basic.h"
#include "worker/http/variables/variable_getters.h"

namespace limpet::worker {

using conf::Value;

// What a request does not have logs as "-".
Value GetArgs(Exchange& exchange) { return TextOrNone(exchange.request().args); }
// Of a target that was refused it is there, and empty.
Value GetUri(Exchange& exchange) {
  const Request& request = exchange.request();
  return request.head->target.empty() ? TextOrNone(request.uri) : Value::Of(request.uri);
}
Value GetRequestUri(Exchange& exchange) { return TextOrNone(exchange.request().unparsed_uri); }
Value GetRequest(Exchange& exchange) { return TextOrNone(exchange.request().head->request_line); }
Value GetServerName(Exchange& exchange) { return Value::Of(exchange.request().server->name); }

Value GetIsArgs(Exchange& exchange) {
  return Value::Of(exchange.request().args.empty() ? std::string_view() : "?");
}

Value GetContentLength(Exchange& exchange) {
  const Request& request = exchange.request();
  if (const auto* field = request.headers().Find(proto::HeaderId::kContentLength)) {
    return Value::Of(field->value);
  }
  // A chunked body that has come completely: its length is known by now.
  const bool chunked = request.framing.kind == proto::BodyKind::kChunked;
  if (!chunked || !exchange.body().complete()) return Value::None();
  return Formatted(exchange, "{}", exchange.body().size());
}

Value GetContentType(Exchange& exchange) {
  return JoinFields(exchange, exchange.request().headers(), "content_type", ", ");
}

Value GetHost(Exchange& exchange) {
  const Request& request = exchange.request();
  return Value::Of(request.host.empty() ? std::string_view(request.server->name) : request.host);
}

Value GetRequestPort(Exchange& exchange) {
  const uint16_t port = exchange.request().host_port;
  return port != 0 ? Formatted(exchange, "{}", port) : Value::Of("");
}

Value GetIsRequestPort(Exchange& exchange) {
  return Value::Of(exchange.request().host_port != 0 ? ":" : "");
}

Value GetRequestMethod(Exchange& exchange) {
  const Request& request = exchange.request();
  const auto name = request.is_subrequest ? request.head->method_name : request.method_name;
  return name.empty() ? Value::None() : Value::Of(name);
}

// "h2" over TLS, "h2c" without.
Value GetHttp2(Exchange& exchange) {
  if (exchange.request().head->version_major != 2) return Value::Of("");
  return Value::Of(exchange.client().ssl ? "h2" : "h2c");
}

Value GetServerProtocol(Exchange& exchange) {
  return TextOrNone(exchange.request().head->protocol);
}

Value GetRemoteUser(Exchange& exchange) {
  const Credentials* const given = BasicCredentials(exchange);
  return given != nullptr ? Value::Of(given->user) : Value::None();
}

Value GetRequestBody(Exchange& exchange) {
  RequestBody& body = exchange.body();
  const bool kept =
      body.mode() == RequestBody::Mode::kBuffered || body.mode() == RequestBody::Mode::kStreamed;
  if (!kept || body.pieces().empty()) {
    return Value::None();
  }
  return Value::Of(body.InMemory());
}

Value GetRequestBodyFile(Exchange& exchange) {
  const std::string_view path = exchange.body().file_path();
  return path.empty() ? Value::None() : Value::Of(path);
}

Value GetRequestId(Exchange& exchange) { return Value::Of(exchange.request_id()); }

Value GetRequestLength(Exchange& exchange) {
  const Request& request = exchange.request();
  return Formatted(exchange, "{}", request.head_length + request.body_received);
}

Value GetRequestTime(Exchange& exchange) {
  const uint64_t now = exchange.runtime().loop.NowMs();
  return SecondsOf(exchange, static_cast<int64_t>(now - exchange.request().started_ms));
}

Value GetLimitConnStatus(Exchange& exchange) {
  const auto status = exchange.seldom().limit_conn_status;
  return status.empty() ? Value::None() : Value::Of(status);
}

Value GetLimitReqStatus(Exchange& exchange) {
  const auto status = exchange.seldom().limit_req_status;
  return status.empty() ? Value::None() : Value::Of(status);
}

}  // namespace limpet::worker
