#include "worker/http/client/client_connection.h"

#include <fcntl.h>

#include <cerrno>

#include "worker/http/client/connection_set.h"
#include "worker/http/client/http1_connection.h"
#include "worker/http/client/http2_connection.h"
#include "worker/http/exchange/file_path.h"
#include "worker/http/exchange/null_stream.h"
#include "worker/http/log/connection_log.h"
#include "worker/http/log/zone_requests.h"
#include "worker/http/route/server_names.h"
#include "worker/net/plain_transport.h"

namespace limpet::worker {
namespace {

// The name that the client asks for may be a part of the files' names.
bool IsUnsafePair(Exchange& exchange, const conf::Template& certificate,
                  const conf::Template& key) {
  return IsUnsafePath(exchange, exchange.Evaluate(certificate), certificate.source()) ||
         IsUnsafePath(exchange, exchange.Evaluate(key), key.source());
}

// What variables see of a client whose handshake is under way.
class HandshakeStream final : public NullStream {
 public:
  explicit HandshakeStream(const ClientConnection& connection) : connection_(connection) {}
  const ClientInfo& client() const override { return connection_.info(); }
  const TlsTransport* tls() const override { return connection_.tls(); }

 private:
  const ClientConnection& connection_;
};

}  // namespace

ClientConnection::ClientConnection(ConnectionSet& set, Runtime& runtime,
                                   std::unique_ptr<Transport> transport, ClientInfo info)
    : set_(set),
      runtime_(runtime),
      transport_(std::move(transport)),
      info_(std::move(info)),
      timer_(runtime.loop, Callback::To<&ClientConnection::OnTimer>(this)) {
  info_.transport = transport_.get();
  transport_->set_handler(this);
  if (transport_->is_tls()) static_cast<TlsTransport&>(*transport_).set_certificate_giver(this);
}

ClientConnection::~ClientConnection() = default;

void ClientConnection::Start() {
  ++runtime_.own_counters.active;
  const int status = transport_->Start();
  if (status != EINPROGRESS) return OnReady(status);
  transport_->SetIdle(true);
  timer_.Arm(info_.listen->default_server->head.client_header_timeout);
}

void ClientConnection::OnReady(int errnum) {
  if (errnum != 0 && !ContinueInPlain()) {
    const std::string why =
        tls() != nullptr ? tls()->HandshakeError() : "client failed" + transport_->ErrorText();
    LogConnection(runtime_, info_, LogLevel::kInfo, why + " while SSL handshaking");
    CountHandshake(errnum);
    return EndHandshake();
  }
  if (info_.ssl) {
    NoteTlsServer();
    CountHandshake(0);
  }
  const bool speaks_http2 = info_.ssl && tls()->alpn() == "h2";
  if (speaks_http2) {
    Speak(std::make_unique<Http2Connection>(*this, Slice{}));
  } else {
    Speak(std::make_unique<Http1Connection>(*this));
  }
}

void ClientConnection::SpeakHttp2(Slice unread) {
  runtime_.loop.DeleteLater(std::move(session_));
  Speak(std::make_unique<Http2Connection>(*this, std::move(unread)));
}

void ClientConnection::Speak(std::unique_ptr<ClientSession> session) {
  session_ = std::move(session);
  transport_->set_handler(session_.get());
  session_->Start();
  if (stopping()) session_->CloseWhenIdle();
}

void ClientConnection::CloseWhenIdle() {
  stopping_ = true;
  if (session_ != nullptr) session_->CloseWhenIdle();
}

void ClientConnection::CloseNow() { session_ != nullptr ? session_->CloseNow() : EndHandshake(); }

void ClientConnection::OnTimer() {
  if (session_ != nullptr) return session_->OnTimer();
  LogConnection(runtime_, info_, LogLevel::kInfo,
                fmt::format("client timed out{} while SSL handshaking", ErrnoText(ETIMEDOUT)));
  CountHandshake(ETIMEDOUT);
  EndHandshake();
}

void ClientConnection::Close(bool reset) {
  if (transport_->closed()) return;
  timer_.Disarm();
  if (reset) transport_->SetReset();
  transport_->Close();
  --runtime_.own_counters.active;
}

void ClientConnection::LogState(std::string_view protocol, std::string_view state) const {
  ConnectionLog(runtime_, info_)
      .Write(LogLevel::kDebug, info_.number, fmt::format("{} connection: {}", protocol, state));
}

// Only this worker writes these counters: no read-modify-write is needed.
void ClientConnection::MoveGauge(Gauge from, Gauge to) {
  const auto add = [this](Gauge gauge, int64_t change) {
    if (gauge == nullptr) return;
    std::atomic<int64_t>& value = runtime_.own_counters.*gauge;
    value.store(value.load(std::memory_order_relaxed) + change, std::memory_order_relaxed);
  };
  add(from, -1);
  add(to, 1);
}

void ClientConnection::KeepForLog() {
  if (transport_->closed()) return;
  info_.local();
  auto tcp = std::make_unique<tcp_info>();
  if (TcpInfo(tcp.get())) kept_tcp_info_ = std::move(tcp);
}

bool ClientConnection::TcpInfo(tcp_info* out) const {
  if (kept_tcp_info_ != nullptr) {
    *out = *kept_tcp_info_;
    return true;
  }
  socklen_t size = sizeof *out;
  return ::getsockopt(transport_->fd(), IPPROTO_TCP, TCP_INFO, out, &size) == 0;
}

void ClientConnection::End() { set_.Remove(this); }

void ClientConnection::EndHandshake() {
  Close(false);
  End();
}

// --- TLS ---

const TlsTransport* ClientConnection::tls() const {
  return transport_->is_tls() ? static_cast<const TlsTransport*>(transport_.get()) : nullptr;
}

Io ClientConnection::ReadUnseen(char* data, size_t size, size_t* n) {
  if (!transport_->is_tls()) return transport_->Read(data, size, n);
  return static_cast<TlsTransport&>(*transport_).ReadRaw(data, size, n);
}

bool ClientConnection::GiveCertificates(TlsTransport& transport, const TlsContext& context) {
  NoteTlsServer();
  const conf::TlsSettings& tls = *context.varying();
  HandshakeStream stream(*this);
  std::unique_ptr<Exchange> exchange = set_.TakeExchange();
  exchange->BeginHandshake(
      stream, info_.tls_server != nullptr ? *info_.tls_server : *info_.listen->default_server);
  Status status;
  for (size_t i = 0; status && i < tls.certificates.size(); ++i) {
    if (IsUnsafePair(*exchange, tls.certificates[i], tls.certificate_keys[i])) {
      status = InvalidArgument("no certificate is chosen");
      break;
    }
    const auto pair = runtime_.certificates.Get({
        .certificate = exchange->Evaluate(tls.certificates[i]),
        .key = exchange->Evaluate(tls.certificate_keys[i]),
        .cache = tls.certificate_cache.get(),
        .passwords = &context.passwords(),
    });
    status = pair ? transport.GiveCertificate(*pair) : pair.error();
  }
  if (status && exchange->match_failed()) status = InvalidArgument("no certificate is chosen");
  if (!status) {
    exchange->Log(LogLevel::kError, status.error().message + " while SSL handshaking");
  }
  exchange->EndHandshake();
  set_.ReturnExchange(std::move(exchange));
  return static_cast<bool>(status);
}

void ClientConnection::NoteTlsServer() {
  const auto index = static_cast<size_t>(info_.listen - runtime_.http.listens.data());
  const ServerNames::Match match = runtime_.names[index]->FindForTls(tls()->asked_name());
  if (match.named) info_.tls_server = match.server;
}

void ClientConnection::CountHandshake(int errnum) {
  using Count = shm::RequestCount;
  if (!runtime_.zones.any_requests() || tls() == nullptr || !tls()->has_begun()) return;
  if (errnum != 0) NoteTlsServer();  // as far as the client has said it
  const conf::Server& server =
      info_.tls_server != nullptr ? *info_.tls_server : *info_.listen->default_server;
  if (server.status_zone.zone < 0) return;
  HandshakeStream stream(*this);
  std::unique_ptr<Exchange> exchange = set_.TakeExchange();
  exchange->BeginHandshake(stream, server);
  if (shm::ZoneLine* const line = ZoneLineOf(*exchange, server.status_zone)) {
    line->Add(errnum == 0           ? Count::kHandshaked
              : errnum == ETIMEDOUT ? Count::kTimedOut
                                    : Count::kFailed);
    if (errnum == 0 && tls()->session_reused()) line->Add(Count::kReused);
  }
  exchange->EndHandshake();
  set_.ReturnExchange(std::move(exchange));
}

// Plain HTTP on a TLS port: its request is read, to be answered with 497.
bool ClientConnection::ContinueInPlain() {
  const TlsTransport* tls_transport = tls();
  if (tls_transport == nullptr || !tls_transport->plain_http()) return false;
  UniqueFd fd(::fcntl(transport_->fd(), F_DUPFD_CLOEXEC, 0));
  if (!fd) return false;
  Transport::Discard(std::move(transport_));
  transport_ = PlainTransport::Adopt(runtime_.loop, std::move(fd));
  info_.transport = transport_.get();
  transport_->set_handler(this);
  info_.ssl = false;
  info_.plain_on_tls = true;
  return true;
}

}  // namespace limpet::worker
