// The connection of a proxied exchange to its peer: one that was kept, or a new one.
#include "worker/http/exchange/exchange.h"
#include "worker/http/proxy/proxy_exchange.h"
#include "worker/http/proxy/upstream_lookup.h"
#include "worker/http/proxy/upstream_runtime.h"
#include "worker/http/proxy/upstream_tls.h"

namespace limpet::worker {
namespace {

constexpr std::string_view kBind = "bind()";

// In nginx's words: of what fails at once, as with Unix sockets, the place is told.
std::string ConnectFailure(std::string_view what, const Peer& peer, const SocketAddress* local) {
  if (what == kBind)
    return fmt::format("bind({}) failed",
                       local->port() == 0 ? local->HostString() : local->ToString());
  if (what != "connect()") return fmt::format("{} failed", what);
  return fmt::format("connect() to {} failed", peer.name);
}

}  // namespace

void ProxyExchange::Connect() {
  Runtime& runtime = exchange_.runtime();
  const Peer& peer = *attempt_.peer();
  TlsTarget tls;
  if (target_.https) {
    tls = MakeTlsTarget(exchange_, target_.host, peer);
    if (tls.context == nullptr) return FailAtHome();
  }
  if (attempt_.TakeKept(upstream_->pool, location_, tls.scope, this)) return OnConnected();
  if (!runtime.loop.places().MakeRoom()) return RefuseConnection();
  ConnectOptions options;
  options.keepalive = location_->proxy.socket_keepalive;
  SocketAddress bind_address;
  if (!ChooseBindAddress(exchange_, location_->proxy, &bind_address, &options)) return FailAtHome();
  const std::string scope = tls.scope;
  const auto await = [&](auto connecting) {
    if (connecting.transport == nullptr) {
      const std::string what = ConnectFailure(connecting.what, peer, options.bind);
      if (!connecting.ours) return Fail(kConnectionFailed, what, connecting.errnum);
      const LogLevel level = connecting.what == kBind ? LogLevel::kCrit : LogLevel::kAlert;
      LogUpstream(level, fmt::format("{}{}", what, Doing()), connecting.errnum);
      return FailAtHome();
    }
    attempt_.Adopt(std::move(connecting.transport), scope, runtime.loop.NowMs());
    connecting.errnum == 0 ? OnConnected() : Enter(ProxyState::kConnecting);
  };
  if (!target_.https)
    return await(PlainTransport::Connect(runtime.loop, peer.address, options, this));
  if (!ChooseClientCertificate(exchange_, &tls)) return FailAtHome();
  await(TlsTransport::Connect(runtime.loop, peer.address, options, std::move(tls), this));
}

void ProxyExchange::RefuseConnection() {
  exchange_.Log(LogLevel::kAlert,
                fmt::format("{} worker_connections are not enough while connecting to upstream",
                            exchange_.runtime().config.worker_connections));
  FailAtHome();
}

// The peer is not to blame, and another one would do no better.
void ProxyExchange::FailAtHome() {
  EndAttempt(Outcome::kStale);
  Answer(500);
}

void ProxyExchange::OnReady(int errnum) {
  if (state_ != ProxyState::kConnecting) return;
  if (errnum != 0 && target_.https) {
    return Fail(kConnectionFailed,
                static_cast<TlsTransport&>(*attempt_.transport()).SetupError(errnum), 0);
  }
  if (errnum != 0) return Fail(kConnectionFailed, "connect() failed", errnum);
  OnConnected();
}

void ProxyExchange::OnConnected() {
  exchange_.upstream_trace().last().connect_ms = ElapsedMs();
  if (!QueueHead()) return;
  Enter(ProxyState::kTalking);
  QueueBody();
  FlushRequest();
}

}  // namespace limpet::worker
