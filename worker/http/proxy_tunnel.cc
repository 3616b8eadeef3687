// What has no end of its own: tunnels, and streams of which nobody knows how long they are. The end
// of a drain ends them.
#include "base/text.h"
#include "worker/http/exchange.h"
#include "worker/http/proxy_exchange.h"
#include "worker/http/response_writer.h"
#include "worker/http/upstream_runtime.h"

namespace limpet::worker {
namespace {

constexpr int kMostLooks = 5;  // at a frame that does not end, a second each

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
  Enter(ProxyState::kTunnel);
  const auto* protocol = parser_.head().headers.Find(proto::HeaderId::kUpgrade);
  is_websocket_ = protocol != nullptr && EqualsIgnoreCase(protocol->value, "websocket");
  frames_.Reset();
  looks_since_drained_ = 0;
  upstream_->endless.Join(endless_, *peer_);
  Enter(&response_half_, Half::kBody);
  const std::string_view rest(block_.data() + head_start_ + parser_.consumed(),
                              filled_ - head_start_ - parser_.consumed());
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
  exchange_.Complete();
}

// Pages that are made while they are sent have no length either, but they end by themselves.
bool ProxyExchange::IsStream() const {
  if (framing_.kind == proto::BodyKind::kLength) return false;
  return !buffering_ || IsEventStream(parser_.head().headers);
}

// A browser opens an event stream again that has ended; of all else the client must see that the
// end is missing. A WebSocket is told why, between two frames.
void ProxyExchange::OnDrainOver() {
  const bool waits = is_websocket_ && !frames_.between_frames();
  if (waits && ++looks_since_drained_ < kMostLooks)
    return upstream_->endless.Join(endless_, *peer_);
  LogUpstream(LogLevel::kInfo,
              "the drain of the server is over, its connection is ended while reading upstream", 0);
  keep_upstream_ = false;
  if (state_ == ProxyState::kTunnel) {
    if (is_websocket_ && !waits) exchange_.writer().WriteBody({}, proto::kGoingAway);
    return EndTunnel();
  }
  IsEventStream(parser_.head().headers) ? FinishResponse() : BreakResponse({});
}

// True: the drain was over, and with these bytes a frame has ended. They are the last.
bool ProxyExchange::LeaveTunnel(std::string_view bytes) {
  if (looks_since_drained_ == 0) {
    frames_.TakeAll(bytes);
    return false;
  }
  const size_t last = frames_.Take(bytes);
  if (!frames_.between_frames()) return false;
  exchange_.writer().WriteBody(block_, bytes.substr(0, last));
  OnDrainOver();
  return true;
}

}  // namespace limpet::worker
