// The client side of TlsTransport: connect, then shake hands, then look at the certificate.
#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/log.h"
#include "worker/tls/openssl.h"
#include "worker/tls/tls_transport.h"

namespace limpet::worker {

TlsTransport::Connecting TlsTransport::Connect(Loop& loop, const SocketAddress& address,
                                               const ConnectOptions& options, TlsTarget target,
                                               TransportHandler* handler) {
  ConnectingSocket socket = StartConnect(address, options);
  if (!socket.fd) return {nullptr, socket.errnum, socket.what, socket.ours};
  Connecting result;
  result.errnum = EINPROGRESS;
  result.transport.reset(new TlsTransport(loop, std::move(socket.fd), *target.context, nullptr));
  result.transport->target_ = std::make_unique<TlsTarget>(std::move(target));
  result.transport->set_handler(handler);
  result.transport->Register(false);  // writable is an event, also if it is connected already
  if (!result.transport->registered())
    return {nullptr, result.transport->errnum(), "epoll_ctl()", true};
  return result;
}

int TlsTransport::AdvanceConnect() {
  if (!writable_ && !ended_) return EINPROGRESS;
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return error;
  return StartAsClient();
}

int TlsTransport::StartAsClient() {
  ERR_clear_error();
  ssl_ = SSL_new(context_->get());
  if (ssl_ == nullptr || !wire_.Attach(ssl_, fd())) {
    error_ = TakeErrors();
    return ENOMEM;
  }
  SSL_set_app_data(ssl_, this);
  SSL_set_connect_state(ssl_);
  if (target_->certificate.chain != nullptr) {
    if (Status status = target_->certificate.Use(ssl_); !status) {
      error_ = status.error().message;
      return EPROTO;
    }
  }
  // RFC 6066 3: literal addresses are no names.
  const bool is_name = !target_->name.empty() && !SocketAddress::ParseIp(target_->name, 0);
  if (target_->send_name && is_name) {
    SSL_ctrl(ssl_, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, target_->name.data());
  }
  if (target_->sessions != nullptr) {
    if (SSL_SESSION* session = target_->sessions->Find(target_->scope)) {
      SSL_set_session(ssl_, session);
    }
  }
  return DriveHandshake();
}

int TlsTransport::VerifyPeer() {
  if (!context_->verifies()) return 0;
  if (const long result = SSL_get_verify_result(ssl_); result != X509_V_OK) {
    error_ = fmt::format("upstream SSL certificate verify error: ({}:{})", result,
                         X509_verify_cert_error_string(result));
  } else if (!VerifyName()) {
    error_ = fmt::format("upstream SSL certificate does not match \"{}\"", target_->name);
  } else {
    return 0;
  }
  bad_certificate_ = true;
  return EPROTO;
}

bool TlsTransport::VerifyName() {
  const X509Ptr certificate(SSL_get1_peer_certificate(ssl_));
  if (!certificate || target_->name.empty()) return false;
  const std::string& name = target_->name;
  if (X509_check_host(certificate.get(), name.data(), name.size(), 0, nullptr) == 1) return true;
  const bool bracketed = name.starts_with('[') && name.ends_with(']');
  const std::string address = bracketed ? name.substr(1, name.size() - 2) : name;
  return X509_check_ip_asc(certificate.get(), address.c_str(), 0) == 1;
}

int TlsTransport::OnNewSession(SSL* ssl, SSL_SESSION* session) noexcept {
  const auto* self = static_cast<TlsTransport*>(SSL_get_app_data(ssl));
  if (self->target_ == nullptr || self->target_->sessions == nullptr) return 0;
  self->target_->sessions->Keep(self->target_->scope, session);
  return 1;  // the session is ours now
}

std::string TlsTransport::SetupError(int errnum) const {
  constexpr std::string_view kWhile = " while SSL handshaking to upstream";
  if (errnum == ETIMEDOUT && error_.empty()) {  // whoever waits for OnReady has lost patience
    return fmt::format("upstream timed out{}{}", ErrnoText(errnum),
                       ssl_ == nullptr ? " while connecting to upstream" : kWhile);
  }
  if (ssl_ == nullptr) return "connect() failed" + ErrnoText(errnum);
  if (bad_certificate_) return fmt::format("{}{}", error_, kWhile);
  if (!error_.empty()) return fmt::format("SSL_do_handshake() failed (SSL: {}){}", error_, kWhile);
  return fmt::format("peer closed connection in SSL handshake{}{}",
                     cut_off_ ? "" : ErrnoText(errnum), kWhile);
}

}  // namespace limpet::worker
