// The request half of a proxied exchange: head and body on their way to the peer.
#include <cerrno>
#include <utility>

#include "worker/http/exchange/exchange.h"
#include "worker/http/proxy/proxy_exchange.h"
#include "worker/http/proxy/proxy_headers.h"
#include "worker/http/proxy/upstream_runtime.h"
#include "worker/net/failure_text.h"

namespace limpet::worker {

void ProxyExchange::OnBodyReady() {
  if (state_ == ProxyState::kReadingBody) return FirstPeer();
  if (!RowOf(state_).takes_body() || !request_.streams() || request_.closed()) return;
  request_.Close();  // the client has sent all
  FlushRequest();
}

void ProxyExchange::OnBodyPiece(Slice piece) {
  if (RowOf(state_).takes_body()) request_.Take(std::move(piece));
}

void ProxyExchange::OnBodyPause() {
  request_.EndOfPieces();
  FlushRequest();
}

UpstreamTarget ProxyExchange::Target() const {
  return {.host = target_.host,
          .uri = pass().has_variables ? by_name_->uri : std::string_view(pass().uri),
          .uri_is_whole = pass().has_variables && !by_name_->uri.empty()};
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

bool ProxyExchange::PassesBody() const {
  return location_->proxy.pass_request_body && !location_->proxy.set_body;
}

bool ProxyExchange::SendsBody() const { return PassesBody() && exchange_.body().whole(); }

bool ProxyExchange::QueueHead() {
  const Request& request = exchange_.request();
  const uint64_t size = exchange_.body().size();
  UpstreamBody framing;
  if (request_.streams()) {
    framing.chunked = request_.chunked();
    if (!framing.chunked) framing.length = static_cast<int64_t>(request.framing.length);
  } else if (SendsBody() && (size > 0 || request.framing.kind != proto::BodyKind::kNone ||
                             request.headers().Has(proto::HeaderId::kContentLength))) {
    framing.length = static_cast<int64_t>(size);
  }
  attempt_.AskToKeep(upstream_->group.conf().keepalive > 0 && location_->proxy.http_version >= 11);
  std::string_view unfit;
  {
    const UpstreamTrace::OthersOnly scope(exchange_.upstream_trace());
    target_.method = UpstreamMethod(exchange_);
    unfit = BuildUpstreamRequest(exchange_, target_.host, target_.request_uri, framing,
                                 &request_.head());
  }
  if (FailsMatch()) return false;
  if (unfit.empty()) return true;
  RefuseRequest(unfit);
  return false;
}

void ProxyExchange::QueueBody() {
  request_.BeginBody();
  if (request_.streams()) return QueueStreamedBody();
  if (SendsBody()) request_.AppendWhole(exchange_.body());
  request_.Close();
}

// Where another peer was to have it and has had nothing, what came for that one is still here.
void ProxyExchange::QueueStreamedBody() {
  RequestBody& body = exchange_.body();
  if (body.mode() == RequestBody::Mode::kIdle)
    return body.Start(RequestBody::Mode::kStreamed, this);
  if (!body.whole()) {
    EndAttempt(Outcome::kStale);
    return FailWithoutBody();
  }
  for (const Slice& piece : body.pieces()) request_.Take(piece);
  request_.EndOfPieces();
  if (body.complete()) request_.Close();
}

void ProxyExchange::FlushRequest() {
  using Sent = UpstreamRequest::Sent;
  if (!RowOf(state_).reads_peer()) return;
  Transport& transport = *attempt_.transport();
  switch (const Sent sent = request_.Flush(transport)) {
    case Sent::kAll:
      if (state_ == ProxyState::kTunnel) return LingerForPeer();
      break;
    case Sent::kSoFar:
      exchange_.body().Pause(false);
      break;
    case Sent::kBlocked:
    case Sent::kFull:
      transport.WantWrite(true);
      if (sent == Sent::kFull) exchange_.body().Pause(true);
      break;
    case Sent::kClosed:  // the peer may have answered before it closed: what it said is read first
      attempt_.Spoil();
      if (state_ == ProxyState::kTunnel)
        LogUpstream(LogLevel::kError, fmt::format("{}{}", WriteFailure(transport), Doing()), 0);
      if (request_.streams()) exchange_.body().Pause(true);
      break;
    case Sent::kFailed:
      return Fail(kConnectionFailed, WriteFailure(transport), 0);
  }
  Watch();
}

}  // namespace limpet::worker
