#include "worker/http/exchange/response_writer.h"

#include <algorithm>

#include "base/clock.h"
#include "proto/escape.h"
#include "proto/status.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/hooks.h"

namespace limpet::worker {
namespace {

// A relative Location becomes absolute, unless the configuration says otherwise.
std::string_view AbsoluteLocation(Exchange& exchange) {
  const std::string_view location = exchange.response().location;
  const Request& request = exchange.request();
  const conf::RedirectSettings& settings = exchange.location().redirect;
  if (!location.starts_with('/') || !settings.absolute) return location;
  const ClientInfo& client = exchange.client();
  std::string_view host = request.host;
  if (settings.server_name_in_redirect && !request.server->name.empty())
    host = request.server->name;
  if (host.empty()) host = exchange.arena().Copy(client.local().HostString());
  const uint16_t port = client.local().port();
  const bool shows_port = settings.port_in_redirect && port != 0 && port != (client.ssl ? 443 : 80);
  return exchange.arena().Concat(client.ssl ? "https://" : "http://", host,
                                 shows_port ? fmt::format(":{}", port) : "", location);
}

// The value as it may stand in a head; null if it cannot: the field is left out, and the log told.
std::string_view Fit(Exchange& exchange, std::string_view name, std::string_view value) {
  if (proto::IsFieldValue(value)) return value;
  if (const auto line = proto::UnfoldFieldValue(value); line && proto::IsFieldValue(*line))
    return exchange.arena().Copy(*line);
  LogUnfitField(exchange, name);
  return {};
}

void MakeFit(Exchange& exchange, proto::HeaderList* fields) {
  const auto is_fit = [](const proto::Header& field) {
    return field.fit || proto::IsFieldValue(field.value);
  };
  if (std::ranges::all_of(*fields, is_fit)) return;
  proto::HeaderList fit;
  for (const proto::Header& field : *fields) {
    const std::string_view value = Fit(exchange, field.name, field.value);
    if (value.data() != nullptr) fit.Add(field.id, field.name, value);
  }
  *fields = std::move(fit);
}

// A URL made of variables may hold what a client has encoded: here it is encoded again.
std::string_view LocationToSend(Exchange& exchange) {
  const std::string_view url = AbsoluteLocation(exchange);
  if (!proto::NeedsEscape(url, proto::EscapeKind::kLine)) return url;
  return exchange.arena().Copy(proto::EscapeUri(url, proto::EscapeKind::kLine));
}

}  // namespace

ResponseWriter::ResponseWriter(Exchange& exchange) : exchange_(exchange) { chain_.first = this; }
ResponseWriter::~ResponseWriter() = default;

void ResponseWriter::Reset() {
  chain_.unpacker.reset();
  chain_.text_filter.reset();
  chain_.filter.reset();
  chain_.first = this;
  head_sent_ = ended_ = refused_ = false;
}

bool ResponseWriter::SendHead() {
  Response& response = exchange_.response();
  if (exchange_.error_status() > 0) {
    response.status = exchange_.error_status();
    response.status_line = {};
  }
  const bool is_for_client = !exchange_.request().is_subrequest;
  if (is_for_client && !ApplyConditions(exchange_)) return false;
  DropWhatStatusForbids();  // but what add_header says is meant
  if (is_for_client && !AddFields()) return false;
  response.hides_body =
      !response.is_upgrade && (exchange_.request().method == proto::Method::kHead ||
                               proto::StatusHasNoBody(response.status));
  if (is_for_client && !MakeBodyFilters(exchange_, this, &chain_)) return false;
  if (IsReplacedAfterFailedMatch()) return false;
  DecideFraming();
  exchange_.stream().SetNoDelay(exchange_.location().client.tcp_nodelay);
  exchange_.stream().SendHead(HeadValues());
  head_sent_ = true;
  return true;
}

bool ResponseWriter::AddFields() {
  if (AddResponseHeaders(exchange_, refused_)) return true;
  refused_ = true;
  exchange_.FinishWithOwnPage(500);
  return false;
}

// An answer of that status goes out without the field that failed: what would replace it is no
// other.
bool ResponseWriter::IsReplacedAfterFailedMatch() {
  if (exchange_.response().status == exchange_.failure_status()) exchange_.TakeMatchFailure();
  if (!exchange_.match_failed()) return false;
  Reset();
  return exchange_.AnswersFailedMatch();
}

// nginx: of our own answers, only what a client may keep says when it was changed, and 204 tells
// nothing of a body. An upstream server may tell both of the resource it has changed (RFC 9110
// 15.3.5).
void ResponseWriter::DropWhatStatusForbids() {
  Response& response = exchange_.response();
  if (response.from_upstream) return;
  const int status = response.status;
  if (status == 204) response.content_type = {};
  if (status == 200 || status == 206 || status == 304) return;
  response.last_modified = -1;
  response.last_modified_text = {};
}

// The one place that decides how the client finds the end of the body (RFC 9112 6.3).
void ResponseWriter::DecideFraming() {
  Response& response = exchange_.response();
  if (response.is_upgrade) return;
  if (proto::StatusHasNoBody(response.status)) {
    if (response.status != 304) response.content_length = -1;
    return;
  }
  if (response.content_length >= 0 && !response.expects_trailers) return;
  const proto::RequestHead& head = *exchange_.request().head;
  if (exchange_.request().method == proto::Method::kHead) return;  // whatever it is, it ends here
  const bool has_frames = head.version_major > 1;  // with an end, and room for trailers
  if (has_frames || (head.is_http11() && exchange_.location().response.chunked)) {
    response.chunked = true;
    if (!has_frames) response.content_length = -1;  // HTTP/2 may say both
  } else if (response.content_length < 0) {
    exchange_.stream().LastForClient();
  }
}

ResponseHead ResponseWriter::HeadValues() {
  Response& response = exchange_.response();
  const auto fit = [this](std::string_view name, std::string_view value) {
    return value.empty() ? value : Fit(exchange_, name, value);
  };
  if (response.location.data() != nullptr)          // "" is a Location, too
    response.location = LocationToSend(exchange_);  // $sent_http_location shows what was sent
  MakeFit(exchange_, &response.headers);
  ResponseHead head;
  head.status = response.status;
  head.status_line = response.status_line;
  // Of server_tokens, too: its value may have variables.
  head.server =
      fit("Server", response.server.empty() && response.own_server ? ServerToken(exchange_)
                                                                   : response.server);
  head.date = response.date.empty() && response.own_date ? exchange_.runtime().HttpDate()
                                                         : fit("Date", response.date);
  head.content_type = fit("Content-Type", response.content_type);
  head.content_length = response.content_length;
  head.last_modified = fit("Last-Modified", response.last_modified_text);
  if (response.last_modified_text.empty() && response.last_modified >= 0)
    head.last_modified = exchange_.arena().Copy(FormatHttpDate(response.last_modified));
  if (response.location.data() != nullptr)
    head.location = Fit(exchange_, "Location", response.location);
  head.vary_gzip = response.vary_gzip;
  head.etag = fit("ETag", response.etag);
  head.fields = &response.headers;
  head.chunked = response.chunked;
  head.no_body = response.hides_body || (response.content_length == 0 && !response.chunked);
  head.is_upgrade = response.is_upgrade;
  head.keep_alive_s = exchange_.location().client.keepalive_header_timeout;
  return head;
}

void ResponseWriter::Write(BlockRef block, std::string_view bytes) {
  if (exchange_.response().hides_body || bytes.empty()) return;
  exchange_.stream().Write(std::move(block), bytes);
}

void ResponseWriter::WriteFile(std::shared_ptr<const UniqueFd> file, off_t offset, uint64_t size) {
  if (exchange_.response().hides_body || size == 0) return;
  exchange_.stream().WriteFile(std::move(file), offset, size);
}

bool ResponseWriter::CanSplice() const {
  const Response& response = exchange_.response();
  return !is_filtered() && !response.chunked && !response.hides_body &&
         exchange_.stream().can_splice();
}

void ResponseWriter::WriteBodyPipe(std::shared_ptr<const UniqueFd> read_end, uint64_t size) {
  exchange_.stream().WritePipe(std::move(read_end), size);
}

// Bytes in memory that wait for the client; what filters make is added while there are fewer.
bool ResponseWriter::HasRoom() const {
  constexpr uint64_t kMost = 32 * 1024;
  return exchange_.stream().unsent_memory() < kMost;
}

void ResponseWriter::OnBroken(std::string_view why) {
  exchange_.Log(LogLevel::kError, why);
  exchange_.stream().LastForClient();
}

void ResponseWriter::End() {
  if (ended_) return;
  ended_ = true;
  Response& response = exchange_.response();
  const bool has_trailers = response.chunked && !response.hides_body;
  if (has_trailers) {
    AddResponseTrailers(exchange_);
    if (!response.trailers().empty()) MakeFit(exchange_, &response.TrailersToFill());
  }
  exchange_.stream().WriteEnd(response.trailers());
}

}  // namespace limpet::worker
