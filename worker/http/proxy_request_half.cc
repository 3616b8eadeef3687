// The request half of a proxied exchange: head and body on their way to the peer.
#include <cerrno>
#include <utility>

#include "worker/http/exchange.h"
#include "worker/http/proxy_exchange.h"
#include "worker/http/proxy_headers.h"
#include "worker/http/upstream_runtime.h"

namespace limpet::worker {
namespace {

constexpr size_t kUpstreamHighWater =
    64 * 1024;  // bytes that wait for a slow peer before the client has to wait, too

}  // namespace

void ProxyExchange::OnBodyReady() {
  if (state_ == ProxyState::kReadingBody) return FirstPeer();
  if (!streamed_ || body_complete_) return;
  body_complete_ = true;  // streamed: the client has sent all
  if (chunk_body_) {
    QueueChunk();
    out_.Append("0\r\n\r\n");
  }
  if (state_ == ProxyState::kTalking) FlushRequest();
}

void ProxyExchange::QueuePiece(const Slice& piece) {
  out_.AppendBlock(piece.block, static_cast<size_t>(piece.bytes.data() - piece.block.data()),
                   piece.bytes.size());
}

void ProxyExchange::QueueChunk() {
  uint64_t size = 0;
  for (const Slice& piece : pieces_) size += piece.bytes.size();
  if (size == 0) return;
  char header[proto::kMaxChunkHeader];
  out_.Append({header, proto::ChunkHeader(header, size)});
  for (const Slice& piece : pieces_) QueuePiece(piece);
  out_.Append("\r\n");
  pieces_.clear();
}

void ProxyExchange::OnBodyPause() {
  QueueChunk();
  if (RowOf(state_).reads_peer()) FlushRequest();
}

void ProxyExchange::OnBodyPiece(Slice piece) {
  if (!RowOf(state_).takes_body()) return;  // answered early: the rest is of no use
  if (chunk_body_ && state_ != ProxyState::kTunnel) {
    Slice* const last = pieces_.empty() ? nullptr : &pieces_.back();
    if (!joiner_.Join(exchange_.runtime().blocks, last, &piece))
      pieces_.push_back(std::move(piece));
  } else {
    QueuePiece(piece);
  }
}

UpstreamTarget ProxyExchange::Target() const {
  return {.host = proxy_host_,
          .uri = pass().has_variables ? evaluated_uri_ : std::string_view(pass().uri),
          .uri_is_whole = pass().has_variables && !evaluated_uri_.empty()};
}

// Nothing was sent: neither the peer nor the connection is to blame, but the latter is not kept.
void ProxyExchange::RefuseRequest(std::string_view unfit) {
  LogUpstream(LogLevel::kError,
              fmt::format("the request is not sent: \"{}\" has a value that cannot be in a head "
                          "while sending request to upstream",
                          unfit),
              0);
  exchange_.upstream_trace().last().status = 500;
  End(Outcome::kOk);
  exchange_.Finish(500);
}

bool ProxyExchange::SendsBody() const {
  return location_->proxy.pass_request_body && !location_->proxy.set_body &&
         exchange_.body().whole();
}

bool ProxyExchange::QueueHead() {
  const Request& request = exchange_.request();
  RequestBody& body = exchange_.body();
  UpstreamBody framing;
  const bool sends_body = SendsBody();
  if (streamed_) {
    framing.chunked = chunk_body_;
    if (!chunk_body_) framing.length = static_cast<int64_t>(request.framing.length);
  } else if (sends_body && (body.size() > 0 || request.framing.kind != proto::BodyKind::kNone)) {
    framing.length = static_cast<int64_t>(body.size());
  } else if (sends_body && request.headers().Has(proto::HeaderId::kContentLength)) {
    framing.length = 0;
  }
  keep_upstream_ = upstream_->group.conf().keepalive > 0 && location_->proxy.http_version >= 11;
  out_.Clear();
  pieces_.clear();
  body_complete_ = false;
  std::string_view unfit;
  {
    const UpstreamTrace::OthersOnly scope(exchange_.upstream_trace());
    upstream_method_ = UpstreamMethod(exchange_);
    unfit = BuildUpstreamRequest(exchange_, proxy_host_, request_uri_, framing, &out_);
  }
  if (FailsMatch()) return false;
  if (unfit.empty()) return true;
  RefuseRequest(unfit);
  return false;
}

void ProxyExchange::QueueBody() {
  Enter(&request_half_, Half::kBody);
  RequestBody& body = exchange_.body();
  if (streamed_) {
    if (body.mode() == RequestBody::Mode::kIdle) body.Start(RequestBody::Mode::kStreamed, this);
  } else {
    if (SendsBody()) body.AppendTo(&out_);
    body_complete_ = true;
  }
}

void ProxyExchange::FlushRequest() {
  if (!RowOf(state_).reads_peer()) return;
  Transport& transport = *connection_.transport;
  switch (out_.Flush(transport)) {
    case FlushResult::kDrained:
      if (streamed_ && out_.sent() > out_before_) body_dropped_ = true;
      if (state_ == ProxyState::kTunnel || !body_complete_) {
        exchange_.body().Pause(false);
      } else if (request_half_ != Half::kDone) {
        Enter(&request_half_, Half::kDone);
      }
      break;
    case FlushResult::kBlocked:
      if (streamed_ && out_.sent() > out_before_) body_dropped_ = true;
      transport.WantWrite(true);
      if ((state_ == ProxyState::kTunnel || streamed_) && out_.size() >= kUpstreamHighWater)
        exchange_.body().Pause(true);
      break;
    case FlushResult::kError:
      // The peer may have answered before it closed: what it said is read first.
      if (transport.errnum() != EPIPE && transport.errnum() != ECONNRESET) {
        return Fail(kConnectionFailed, "writev() failed", transport.errnum());
      }
      out_.Clear();
      if (request_half_ != Half::kDone) Enter(&request_half_, Half::kDone);
      keep_upstream_ = false;
      if (streamed_) exchange_.body().Pause(true);
      break;
  }
  Watch();
}

}  // namespace limpet::worker
