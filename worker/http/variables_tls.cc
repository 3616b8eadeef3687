// $ssl_*: of the client's finished handshake; nothing over plain connections.
#include "worker/http/variable_getters.h"
#include "worker/tls/tls_transport.h"

namespace limpet::worker {

using conf::Value;

namespace {

Value TextOrNone(std::string_view text) { return text.empty() ? Value::None() : Value::Of(text); }

template <auto kMethod>
Value FromTls(Exchange& exchange) {
  const TlsTransport* const tls = exchange.stream().tls();
  return tls != nullptr ? TextOrNone((tls->*kMethod)()) : Value::None();
}

}  // namespace

Value GetSslProtocol(Exchange& exchange) { return FromTls<&TlsTransport::protocol>(exchange); }
Value GetSslCipher(Exchange& exchange) { return FromTls<&TlsTransport::cipher>(exchange); }
Value GetSslServerName(Exchange& exchange) { return FromTls<&TlsTransport::server_name>(exchange); }
Value GetSslAlpnProtocol(Exchange& exchange) { return FromTls<&TlsTransport::alpn>(exchange); }

Value GetSslSessionId(Exchange& exchange) {
  const TlsTransport* const tls = exchange.stream().tls();
  return tls != nullptr ? TextOrNone(exchange.arena().Copy(tls->session_id())) : Value::None();
}

Value GetSslSessionReused(Exchange& exchange) {
  const TlsTransport* const tls = exchange.stream().tls();
  return tls != nullptr ? Value::Of(tls->session_reused() ? "r" : ".") : Value::None();
}

}  // namespace limpet::worker
