// The doors of a proxied exchange: the only place that changes its state, arms its timers, and says
// whether the peer is read.
#include "worker/http/proxy_states.h"

#include <algorithm>
#include <cassert>
#include <cerrno>

#include "worker/http/exchange.h"
#include "worker/http/limit_rate.h"
#include "worker/http/proxy_exchange.h"
#include "worker/http/response_writer.h"
#include "worker/http/upstream_lookup.h"
#include "worker/http/upstream_runtime.h"
#include "worker/http/upstream_tls.h"

namespace limpet::worker {
namespace {

constexpr uint64_t kPatienceMs = 50;  // that a client may be behind before its bytes are spooled
constexpr uint64_t kRateLookMs = 100;

[[gnu::cold]] void LogState(const Exchange& exchange, std::string_view name) {
  exchange.error_log().Write(LogLevel::kDebug, exchange.client().number,
                             fmt::format("http proxy: {}", name));
}

}  // namespace

void ProxyExchange::Enter(ProxyState next) {
  assert(CanFollow(state_, next));
  LeaveState();
  state_ = next;
  if (exchange_.LogEnabled(LogLevel::kDebug)) LogState(exchange_, RowOf(next).name);
  if (RowOf(next).reads_peer()) connection_.transport->WantRead(true);
  Watch();
}

void ProxyExchange::LeaveState() {
  switch (RowOf(state_).ends) {
    case ProxyEnds::kNothing:
      return;
    case ProxyEnds::kLookup:
      return lookup_.Cancel();
    case ProxyEnds::kPlace:
      return upstream_->queue.Leave(std::exchange(queue_ticket_, 0));
    case ProxyEnds::kFlow:
      rate_.Disarm();
      patience_.Disarm();
      endless_.Leave();
      paused_ = client_is_slow_ = is_websocket_ = false;
  }
}

void ProxyExchange::Enter(Half* half, Half next) {
  assert(CanFollow(*half, next));
  *half = next;
}

ProxyClock ProxyExchange::Clock() const {
  const ProxyClock clock = RowOf(state_).clock;
  if (clock != ProxyClock::kTraffic) return clock;
  return TrafficClock({.paused = paused_,
                       .sending = !out_.empty(),
                       .awaits_client = state_ == ProxyState::kTalking &&
                                        request_half_ != Half::kDone &&
                                        response_half_ == Half::kHead});
}

void ProxyExchange::Watch() {
  const conf::ProxySettings& proxy = location_->proxy;
  switch (Clock()) {
    case ProxyClock::kResolve:
      return deadline_.Arm(location_->resolver->timeout);
    case ProxyClock::kQueue:
      return deadline_.Arm(QueueTimeLeft());
    case ProxyClock::kConnect:
      return deadline_.Arm(proxy.connect_timeout);
    case ProxyClock::kSend:
      return deadline_.Arm(proxy.send_timeout);
    case ProxyClock::kRead:
      return deadline_.Arm(proxy.read_timeout);
    case ProxyClock::kNone:
    case ProxyClock::kTraffic:  // Clock() has said which
      return deadline_.Disarm();
  }
}

// A slow client and proxy_limit_rate hold the peer back. A client that is behind for a moment is
// waited for: its bytes stay where the processor has them at hand.
void ProxyExchange::UpdateReading() {
  if (!RowOf(state_).reads_peer() || response_half_ != Half::kBody) return;
  const bool rate_reached = limit_rate_ > 0 && RateBudget() == 0;
  const bool behind = exchange_.stream().blocked() && !client_is_slow_;
  if (behind && !patience_.armed()) patience_.Arm(kPatienceMs);
  if (rate_reached) rate_.Arm(kRateLookMs);
  paused_ = rate_reached || behind || ClientIsFull();
  connection_.transport->WantRead(!paused_);
  Watch();
}

void ProxyExchange::OnClientStaysBlocked() {
  client_is_slow_ = exchange_.stream().blocked();
  UpdateReading();
}

void ProxyExchange::OnClientDrained() {
  if (!RowOf(state_).reads_peer()) return;
  client_is_slow_ = false;
  patience_.Disarm();
  UpdateReading();
}

void ProxyExchange::OnTimer() {
  switch (state_) {
    case ProxyState::kResolving: {
      ProxyUrl url;
      ParseProxyUrl(target_storage_, &url);
      return FailResolving(url.host, ResolveError::kTimeout);
    }
    case ProxyState::kQueued:
      return FailQueued("upstream queue timed out");
    case ProxyState::kConnecting:
      if (!https_) return Fail(kTimedOut, "upstream timed out", ETIMEDOUT);
      return Fail(kTimedOut,
                  static_cast<TlsTransport&>(*connection_.transport).SetupError(ETIMEDOUT), 0);
    case ProxyState::kTalking:
      if (response_half_ == Half::kHead) return Fail(kTimedOut, "upstream timed out", ETIMEDOUT);
      LogUpstream(LogLevel::kError, "upstream timed out while reading upstream", ETIMEDOUT);
      return BreakResponse({});
    case ProxyState::kTunnel:
      LogUpstream(LogLevel::kInfo, "upstream timed out while proxying upgraded connection",
                  ETIMEDOUT);
      return EndTunnel();
    default:
      return;
  }
}

}  // namespace limpet::worker
