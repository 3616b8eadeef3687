#include "worker/http/response_writer.h"

#include "base/clock.h"
#include "proto/escape.h"
#include "proto/http1/chunked.h"
#include "proto/status.h"
#include "worker/http/add_headers.h"
#include "worker/http/error_page.h"
#include "worker/http/exchange.h"
#include "worker/http/features.h"
#include "worker/http/head_composer.h"
#include "worker/http/ranges.h"

namespace limpet::worker {
namespace {

constexpr size_t kUsualHead = 2048;

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
  if (host.empty()) host = exchange.arena().Copy(client.local.HostString());
  const uint16_t port = client.local.port();
  const bool shows_port = settings.port_in_redirect && port != 0 && port != (client.ssl ? 443 : 80);
  return exchange.arena().Concat(client.ssl ? "https://" : "http://", host,
                                 shows_port ? fmt::format(":{}", port) : "", location);
}

// A field whose value cannot stand in a head is left out.
void PutField(const Exchange& exchange, HeadComposer& out, std::string_view name,
              std::string_view value) {
  if (!out.AddField(name, value)) LogUnfitField(exchange, name);
}

// A URL made of variables may hold what a client has encoded: here it is encoded again.
std::string_view LocationToSend(Exchange& exchange) {
  const std::string_view url = AbsoluteLocation(exchange);
  if (!proto::NeedsEscape(url, proto::EscapeKind::kLine)) return url;
  return exchange.arena().Copy(proto::EscapeUri(url, proto::EscapeKind::kLine));
}

}  // namespace

ResponseWriter::ResponseWriter(Exchange& exchange) : exchange_(exchange) {}
ResponseWriter::~ResponseWriter() = default;

void ResponseWriter::Reset() {
  unpacker_.reset();
  text_filter_.reset();
  filter_.reset();
  first_ = this;
  head_sent_ = ended_ = refused_ = false;
  head_bytes_ = body_bytes_ = 0;
}

bool ResponseWriter::SendHead() {
  Response& response = exchange_.response();
  if (exchange_.error_status() > 0) {
    response.status = exchange_.error_status();
    response.status_line = {};
  }
  if (!ApplyConditions(exchange_)) return false;
  if (!AddResponseHeaders(exchange_, refused_)) {
    refused_ = true;
    exchange_.FinishWithOwnPage(500);
    return false;
  }
  DropWhatStatusForbids();
  response.hides_body =
      !response.is_upgrade && (exchange_.request().method == proto::Method::kHead ||
                               proto::StatusHasNoBody(response.status));
  const bool unpacks = Unpacks(exchange_);
  AddCharset(exchange_);  // what is unpacked here is text again
  const bool changes_text = ChangesText(exchange_);
  filter_ = MakeGzipFilter(exchange_, this);
  if (response.hides_body) filter_.reset();  // HEAD is told what GET would be
  if (!ApplyRanges(exchange_, this, &filter_)) return false;
  if (filter_ != nullptr) first_ = filter_.get();
  if (changes_text && !response.hides_body) text_filter_ = MakeSubFilter(exchange_, first_);
  if (text_filter_ != nullptr) first_ = text_filter_.get();
  if (unpacks && !response.hides_body) unpacker_ = MakeGunzipFilter(exchange_, first_);
  if (unpacker_ != nullptr) first_ = unpacker_.get();
  if (IsReplacedAfterFailedMatch()) return false;
  DecideFraming();
  exchange_.stream().SetNoDelay(exchange_.location().client.tcp_nodelay);
  const uint64_t queued = exchange_.stream().output().size();
  ComposeHead();
  head_bytes_ = exchange_.stream().output().size() - queued;
  head_sent_ = true;
  return true;
}

// An answer of 500 goes out without the field that failed: what would replace it is no other.
bool ResponseWriter::IsReplacedAfterFailedMatch() {
  if (exchange_.response().status == 500) exchange_.TakeMatchFailure();
  if (!exchange_.match_failed()) return false;
  Reset();
  return exchange_.AnswersFailedMatch();
}

// nginx: only what a client may keep says when it was changed, and 204 tells nothing of a body.
void ResponseWriter::DropWhatStatusForbids() {
  Response& response = exchange_.response();
  const int status = response.status;
  if (status == 204) response.content_type = {};
  if (status == 200 || status == 206 || status == 304) return;
  if (response.from_upstream && status != 204) return;
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
  if (head.is_http11() && exchange_.location().response.chunked) {
    response.chunked = true;
    response.content_length = -1;
  } else if (response.content_length < 0) {
    exchange_.stream().CloseAfterResponse();
  }
}

void ResponseWriter::ComposeHead() {
  Response& response = exchange_.response();
  const conf::Location& location = exchange_.location();
  const proto::RequestHead& head = *exchange_.request().head;
  ClientStream& stream = exchange_.stream();
  if (head.is_http09()) return stream.CloseAfterResponse();

  HeadComposer out(&stream.output(), kUsualHead);
  const auto put = [&](std::string_view name, std::string_view value) {
    PutField(exchange_, out, name, value);
  };
  out.Add("HTTP/1.1 ");
  if (!response.status_line.empty()) {
    out.Add(response.status_line);
  } else if (const std::string_view text = proto::StatusText(response.status); !text.empty()) {
    out.Add(text);
  } else {
    out.Add(fmt::format("{:03} ", response.status));
  }
  out.Add("\r\n");
  const bool own_server = response.server.empty() && response.own_server;
  const bool own_date = response.date.empty() && response.own_date;
  const std::string_view server = own_server ? ServerToken(exchange_) : response.server;
  if (!server.empty()) put("Server", server);
  if (own_date || !response.date.empty())
    put("Date", own_date ? exchange_.runtime().HttpDate() : response.date);
  if (!response.content_type.empty()) put("Content-Type", response.content_type);
  if (response.content_length >= 0) {
    out.Add("Content-Length: ");
    out.AddNumber(static_cast<uint64_t>(response.content_length));
    out.Add("\r\n");
  }
  if (!response.last_modified_text.empty()) {
    put("Last-Modified", response.last_modified_text);
  } else if (response.last_modified >= 0) {
    put("Last-Modified", FormatHttpDate(response.last_modified));
  }
  if (response.location.data() != nullptr) {        // "" is a Location, too
    response.location = LocationToSend(exchange_);  // $sent_http_location shows what was sent
    put("Location", response.location);
  }
  if (response.chunked) out.Add("Transfer-Encoding: chunked\r\n");
  if (response.is_upgrade) {
    out.Add("Connection: upgrade\r\n");
  } else if (stream.keep_alive()) {
    out.Add("Connection: keep-alive\r\n");
    if (location.client.keepalive_header_timeout > 0) {
      out.Add("Keep-Alive: timeout=");
      out.AddNumber(static_cast<uint64_t>(location.client.keepalive_header_timeout));
      out.Add("\r\n");
    }
  } else {
    out.Add("Connection: close\r\n");
  }
  if (response.vary_gzip) out.Add("Vary: Accept-Encoding\r\n");
  if (!response.etag.empty()) put("ETag", response.etag);
  for (const proto::Header& header : response.headers) put(header.name, header.value);
  out.Add("\r\n");
}

void ResponseWriter::Write(BlockRef block, std::string_view bytes) {
  if (exchange_.response().hides_body || bytes.empty()) return;
  body_bytes_ += bytes.size();
  OutputQueue& out = exchange_.stream().output();
  const bool chunked = exchange_.response().chunked;
  if (chunked) {
    char header[proto::kMaxChunkHeader];
    out.Append({header, proto::ChunkHeader(header, bytes.size())});
  }
  if (!block) {
    out.Append(bytes);
  } else {
    const auto offset = static_cast<size_t>(bytes.data() - block.data());
    out.AppendBlock(std::move(block), offset, bytes.size());
  }
  if (chunked) out.Append("\r\n");
}

void ResponseWriter::WriteFile(std::shared_ptr<const UniqueFd> file, off_t offset, uint64_t size) {
  if (exchange_.response().hides_body || size == 0) return;
  body_bytes_ += size;
  OutputQueue& out = exchange_.stream().output();
  const bool chunked = exchange_.response().chunked;
  if (chunked) {
    char header[proto::kMaxChunkHeader];
    out.Append({header, proto::ChunkHeader(header, size)});
  }
  out.AppendFile(std::move(file), offset, size);
  if (chunked) out.Append("\r\n");
}

bool ResponseWriter::CanSplice() const {
  const Response& response = exchange_.response();
  return !is_filtered() && !response.chunked && !response.hides_body &&
         exchange_.stream().can_splice();
}

void ResponseWriter::WriteBodyPipe(std::shared_ptr<const UniqueFd> read_end, uint64_t size) {
  body_bytes_ += size;
  exchange_.stream().output().AppendPipe(std::move(read_end), size);
}

// Bytes in memory that wait for the client; what filters make is added while there are fewer.
bool ResponseWriter::HasRoom() const {
  constexpr uint64_t kMost = 32 * 1024;
  return exchange_.stream().output().memory() < kMost;
}

void ResponseWriter::End() {
  if (ended_) return;
  ended_ = true;
  Response& response = exchange_.response();
  if (!response.chunked || response.hides_body) return;
  OutputQueue& out = exchange_.stream().output();
  AddResponseTrailers(exchange_);
  HeadComposer last(&out, 64);
  last.Add("0\r\n");
  for (const proto::Header& trailer : response.trailers)
    PutField(exchange_, last, trailer.name, trailer.value);
  last.Add("\r\n");
}

}  // namespace limpet::worker
