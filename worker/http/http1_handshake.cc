// TLS of Http1Connection: whom the client asks for, certificates that depend on it, and plain HTTP
// where TLS was expected.
#include <fcntl.h>

#include "worker/http/connection_set.h"
#include "worker/http/http1_connection.h"
#include "worker/http/server_names.h"
#include "worker/net/plain_transport.h"

namespace limpet::worker {

const TlsTransport* Http1Connection::tls() const {
  return transport_->is_tls() ? static_cast<const TlsTransport*>(transport_.get()) : nullptr;
}

bool Http1Connection::GiveCertificates(TlsTransport& transport, const TlsContext& context) {
  NoteTlsServer();
  const conf::TlsSettings& tls = *context.varying();
  std::unique_ptr<Exchange> exchange = set_.TakeExchange();
  exchange->BeginHandshake(
      *this, info_.tls_server != nullptr ? *info_.tls_server : *info_.listen->default_server);
  Status status;
  for (size_t i = 0; status && i < tls.certificates.size(); ++i) {
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

void Http1Connection::NoteTlsServer() {
  const auto index = static_cast<size_t>(info_.listen - runtime_.http.listens.data());
  const ServerNames::Match match = runtime_.names[index]->FindForTls(tls()->server_name());
  if (match.named) info_.tls_server = match.server;
}

// Plain HTTP on a TLS port: its request is read, to be answered with 497.
bool Http1Connection::ContinueInPlain() {
  const TlsTransport* tls_transport = tls();
  if (tls_transport == nullptr || !tls_transport->plain_http()) return false;
  UniqueFd fd(::fcntl(transport_->fd(), F_DUPFD_CLOEXEC, 0));
  if (!fd) return false;
  Transport::Discard(std::move(transport_));
  transport_ = PlainTransport::Adopt(runtime_.loop, std::move(fd));
  transport_->set_handler(this);
  info_.ssl = false;
  info_.plain_on_tls = true;
  return true;
}

}  // namespace limpet::worker
