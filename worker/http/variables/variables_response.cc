// Variables that tell of the response: as it was decided, and as much of it as has been sent.
#include "base/clock.h"
#include "worker/http/exchange/response_writer.h"
#include "worker/http/filter/gzip.h"
#include "worker/http/variables/variable_getters.h"

namespace limpet::worker {

using conf::Value;

namespace {

Value SentConnection(Exchange& exchange) {
  if (exchange.response().status == 101) return Value::Of("upgrade");
  return Value::Of(exchange.stream().keep_alive() ? "keep-alive" : "close");
}

Value SentContentLength(Exchange& exchange) {
  const int64_t length = exchange.response().content_length;
  return length >= 0 ? Formatted(exchange, "{}", length) : Value::None();
}

Value SentKeepAlive(Exchange& exchange) {
  const int64_t seconds = exchange.location().client.keepalive_header_timeout;
  if (seconds == 0 || !exchange.stream().keep_alive()) return Value::None();
  return Formatted(exchange, "timeout={}", seconds);
}

Value SentLastModified(Exchange& exchange) {
  const Response& response = exchange.response();
  if (!response.last_modified_text.empty()) return Value::Of(response.last_modified_text);
  if (response.last_modified < 0) return Value::None();
  return Value::Of(exchange.arena().Copy(FormatHttpDate(response.last_modified)));
}

// HTTP/2 has frames instead.
Value SentTransferEncoding(Exchange& exchange) {
  const bool has_frames = exchange.request().head->version_major > 1;
  return exchange.response().chunked && !has_frames ? Value::Of("chunked") : Value::None();
}

// Fields that a Response keeps apart from its list.
struct SpecialField {
  std::string_view suffix;
  Value (*get)(Exchange& exchange);
};
constexpr SpecialField kSpecialFields[] = {
    {"content_type", [](Exchange& e) { return TextOrNone(e.response().content_type); }},
    {"content_length", SentContentLength},
    {"location", [](Exchange& e) { return TextOrNone(e.response().location); }},
    {"last_modified", SentLastModified},
    {"connection", SentConnection},
    {"keep_alive", SentKeepAlive},
    {"transfer_encoding", SentTransferEncoding},
    {"etag", [](Exchange& e) { return TextOrNone(e.response().etag); }},
    {"server", [](Exchange& e) { return TextOrNone(e.response().server); }},
    {"date", [](Exchange& e) { return TextOrNone(e.response().date); }},
};

}  // namespace

Value GetSentHeader(Exchange& exchange, std::string_view suffix) {
  for (const SpecialField& field : kSpecialFields) {
    if (field.suffix != suffix) continue;
    if (const Value value = field.get(exchange); value.found) return value;
    break;
  }
  return JoinFields(exchange, exchange.response().headers, suffix, ", ");
}

Value GetSentTrailer(Exchange& exchange, std::string_view suffix) {
  return JoinFields(exchange, exchange.response().trailers(), suffix, ", ");
}

Value GetStatus(Exchange& exchange) {
  int status = exchange.response().status;
  if (status == 0) status = exchange.error_status();
  if (status == 0 && exchange.request().head->is_http09()) status = 9;
  return Formatted(exchange, "{:03}", status);
}

Value GetBytesSent(Exchange& exchange) {
  return Formatted(exchange, "{}", exchange.stream().bytes_sent());
}

Value GetBodyBytesSent(Exchange& exchange) {
  const uint64_t sent = exchange.stream().bytes_sent();
  const uint64_t head = exchange.stream().head_bytes();
  return Formatted(exchange, "{}", sent > head ? sent - head : 0);
}

Value GetRequestCompletion(Exchange& exchange) {
  const bool ended = exchange.writer().ended() && exchange.phase() == Phase::kDone;
  return Value::Of(ended && exchange.stream().sent_all() ? "OK" : "");
}

Value GetLimitRate(Exchange& exchange) { return Formatted(exchange, "{}", exchange.limit_rate()); }

Value GetGzipRatio(Exchange& exchange) {
  const auto* gzip = dynamic_cast<const GzipFilter*>(exchange.writer().filter());
  if (gzip == nullptr || !exchange.writer().ended()) return Value::None();
  return Value::Of(exchange.arena().Copy(gzip->Ratio()));
}

}  // namespace limpet::worker
