// The doors of a proxied exchange: the only place that changes its state, arms its timers, and says
// whether the peer is read.
#include "worker/http/proxy/proxy_states.h"

#include <algorithm>
#include <cassert>
#include <cerrno>

#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/response_writer.h"
#include "worker/http/proxy/proxy_exchange.h"
#include "worker/http/proxy/upstream_lookup.h"
#include "worker/http/proxy/upstream_runtime.h"
#include "worker/http/proxy/upstream_tls.h"

namespace limpet::worker {
namespace {

[[gnu::cold]] void LogState(const Exchange& exchange, std::string_view name) {
  exchange.error_log().Write(LogLevel::kDebug, exchange.client().number,
                             fmt::format("http proxy: {}", name));
}

}  // namespace

void ProxyExchange::Enter(ProxyState next) {
  assert(CanFollow(state_, next));
  if (RowOf(state_).ends != ProxyEnds::kNothing) LeaveState();
  state_ = next;
  const ProxyRow& row = RowOf(next);
  if (exchange_.runtime().logs_debug) LogState(exchange_, row.name);
  if (Transport* const peer = attempt_.transport())
    peer->WantRead(row.reads_peer() || row.drops_peer());
  if (row.clock != ProxyClock::kTraffic) Watch();  // of traffic the first bytes start it
}

void ProxyExchange::LeaveState() {
  switch (RowOf(state_).ends) {
    case ProxyEnds::kNothing:
      return;
    case ProxyEnds::kLookup:
      return by_name_->lookup.Cancel();
    case ProxyEnds::kPlace:
      upstream_->queue.Leave(std::exchange(queue_ticket_, 0));
      return upstream_->TellQueue();
    case ProxyEnds::kWait:
      return session_.StopWaiting();
    case ProxyEnds::kFlow:
      pace_.End();
      if (drain_end_ != nullptr) drain_end_->Leave();
  }
}

ProxyClock ProxyExchange::clock() const {
  const ProxyClock clock = RowOf(state_).clock;
  if (clock != ProxyClock::kTraffic) return clock;
  return TrafficClock({.paused = pace_.paused(),
                       .sending = request_.sending(),
                       .awaits_client = state_ == ProxyState::kTalking &&
                                        request_.half() != Half::kDone &&
                                        response_.half() == Half::kHead});
}

void ProxyExchange::Watch() {
  const conf::ProxySettings& proxy = location_->proxy;
  switch (clock()) {
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
    case ProxyClock::kLinger:
      return deadline_.Arm(location_->client.lingering_timeout);
    case ProxyClock::kNone:
    case ProxyClock::kTraffic:  // clock() has said which
      return deadline_.Disarm();
  }
}

// A slow client and proxy_limit_rate hold the peer back.
void ProxyExchange::UpdateReading() {
  if (!RowOf(state_).reads_peer() || response_.half() != Half::kBody) return;
  pace_.Look({.full = ClientIsFull(), .blocked = ClientIsBehind()}, BodyReceived());
  attempt_.transport()->WantRead(!pace_.paused());
  Watch();
}

void ProxyExchange::OnClientStaysBlocked() {
  pace_.OnPatienceOver(ClientIsBehind());
  UpdateReading();
}

void ProxyExchange::OnClientBehind() { UpdateReading(); }

void ProxyExchange::OnClientDrained() {
  if (!RowOf(state_).reads_peer()) return;
  pace_.OnClientDrained();
  UpdateReading();
}

void ProxyExchange::OnTimer() {
  switch (state_) {
    case ProxyState::kResolving: {
      ProxyUrl url;
      ParseProxyUrl(by_name_->url, &url);
      return FailResolving(url.host, ResolveError::kTimeout);
    }
    case ProxyState::kQueued:
      return FailQueued("upstream queue timed out");
    case ProxyState::kConnecting:
      if (!target_.https) return Fail(kTimedOut, "upstream timed out", ETIMEDOUT);
      return Fail(kTimedOut,
                  static_cast<TlsTransport&>(*attempt_.transport()).SetupError(ETIMEDOUT), 0);
    case ProxyState::kTalking:
      if (response_.half() == Half::kHead) return Fail(kTimedOut, "upstream timed out", ETIMEDOUT);
      LogUpstream(LogLevel::kError, "upstream timed out while reading upstream", ETIMEDOUT);
      return BreakResponse();
    case ProxyState::kTunnel:
      LogUpstream(LogLevel::kInfo, "upstream timed out while proxying upgraded connection",
                  ETIMEDOUT);
      return EndTunnel();
    case ProxyState::kLingering:
      return EndTunnel();
    default:
      return;
  }
}

}  // namespace limpet::worker
