// What has no end of its own: tunnels, and streams of which nobody knows how long they are. The end
// of a drain ends them.
#include "base/text.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/response_writer.h"
#include "worker/http/proxy/proxy_exchange.h"
#include "worker/http/proxy/upstream_runtime.h"

namespace limpet::worker {
namespace {

bool IsEventStream(const proto::HeaderList& headers) {
  const proto::Header* type = headers.Find(proto::HeaderId::kContentType);
  return type != nullptr && StartsWithIgnoreCase(type->value, "text/event-stream");
}

}  // namespace

void ProxyExchange::StartTunnel() {
  Response& response = exchange_.response();
  response.is_upgrade = true;
  response.content_length = -1;
  if (!exchange_.writer().SendHead()) return;
  EnterSession();
  session_.Renew();
  const std::string_view rest = response_.body_rest();
  Enter(ProxyState::kTunnel);
  response_.BeginBody();
  request_.BecomeTunnel();
  const auto* protocol = response_.head().headers.Find(proto::HeaderId::kUpgrade);
  const bool is_websocket = protocol != nullptr && EqualsIgnoreCase(protocol->value, "websocket");
  WatchDrain(is_websocket ? DrainEnd::Kind::kWebSocket : DrainEnd::Kind::kTunnel);
  exchange_.stream().StartTunnel();
  exchange_.body().StartTunnel(this);
  if (!rest.empty()) ForwardBody(rest);
  exchange_.stream().Flush();
  if (state_ != ProxyState::kTunnel) return;
  exchange_.stream().WantBody(true);
  if (state_ != ProxyState::kTunnel) return;
  UpdateReading();
}

void ProxyExchange::EndTunnel() {
  End(Outcome::kOk);
  exchange_.stream().LastForClient();
  exchange_.writer().EndBody();
  exchange_.Complete();
}

// The client has ended, and all of it has been sent. A connection that is closed while its peer
// still sends is reset, and what the peer has not read by then is lost (RFC 9112 9.6). Its place is
// there for others meanwhile.
void ProxyExchange::LingerForPeer() {
  attempt_.transport()->ShutdownWrite();
  Enter(ProxyState::kLingering);
  attempt_.transport()->SetIdle(true);
}

void ProxyExchange::OnPlaceNeeded() {
  if (RowOf(state_).drops_peer()) EndTunnel();
}

void ProxyExchange::DropInput() {
  const std::span<char> room = response_.RoomForBody(exchange_.runtime().blocks, BlockSize::k16K);
  size_t n = 0;
  const Io io = attempt_.transport()->Read(room.data(), room.size(), &n);
  response_.ReleaseUnlessUsed();
  if (io == Io::kEof || io == Io::kError) EndTunnel();
}

// Pages that are made while they are sent have no length either, but they end by themselves.
bool ProxyExchange::IsStream() const {
  if (response_.kind() == proto::BodyKind::kLength) return false;
  return !buffering_ || IsEventStream(response_.head().headers);
}

void ProxyExchange::WatchDrain(DrainEnd::Kind kind) {
  if (drain_end_ == nullptr)
    drain_end_ = std::make_unique<DrainEnd>(Callback::To<&ProxyExchange::OnDrainOver>(this));
  drain_end_->Watch(upstream_->endless, *attempt_.peer(), kind);
}

// A browser opens an event stream again that has ended; of all else the client must see that the
// end is missing. A WebSocket is told why, between two frames.
void ProxyExchange::OnDrainOver() {
  const DrainEnd::Now now = drain_end_->OnOver();
  if (now == DrainEnd::Now::kWait) return;
  LogUpstream(LogLevel::kInfo,
              "the drain of the server is over, its connection is ended while reading upstream", 0);
  attempt_.Spoil();
  if (now == DrainEnd::Now::kGoAway) exchange_.writer().WriteBody({}, proto::kGoingAway);
  if (state_ == ProxyState::kTunnel) return EndTunnel();
  IsEventStream(response_.head().headers) ? FinishResponse() : BreakResponse();
}

}  // namespace limpet::worker
