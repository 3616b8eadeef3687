// $ssl_*: of the client's finished handshake; nothing over plain connections.
#include "worker/http/variables/variable_getters.h"
#include "worker/tls/tls_transport.h"

namespace limpet::worker {

using conf::Value;

namespace {

template <auto kMethod>
Value FromTls(Exchange& exchange) {
  const TlsTransport* const tls = exchange.stream().tls();
  return tls != nullptr ? TextOrNone((tls->*kMethod)()) : Value::None();
}

template <auto kMethod>
Value CopiedFromTls(Exchange& exchange) {
  const TlsTransport* const tls = exchange.stream().tls();
  return tls != nullptr ? TextOrNone(exchange.arena().Copy((tls->*kMethod)())) : Value::None();
}

}  // namespace

Value GetSslProtocol(Exchange& exchange) { return FromTls<&TlsTransport::protocol>(exchange); }
Value GetSslCipher(Exchange& exchange) { return FromTls<&TlsTransport::cipher>(exchange); }
Value GetSslServerName(Exchange& exchange) { return FromTls<&TlsTransport::server_name>(exchange); }
Value GetSslAlpnProtocol(Exchange& exchange) { return FromTls<&TlsTransport::alpn>(exchange); }

Value GetSslSessionId(Exchange& exchange) {
  return CopiedFromTls<&TlsTransport::session_id>(exchange);
}
Value GetSslCiphers(Exchange& exchange) { return CopiedFromTls<&TlsTransport::ciphers>(exchange); }
Value GetSslCurve(Exchange& exchange) { return CopiedFromTls<&TlsTransport::curve>(exchange); }
Value GetSslCurves(Exchange& exchange) { return CopiedFromTls<&TlsTransport::curves>(exchange); }

Value GetSslSessionReused(Exchange& exchange) {
  const TlsTransport* const tls = exchange.stream().tls();
  return tls != nullptr ? Value::Of(tls->session_reused() ? "r" : ".") : Value::None();
}

Value GetSslSigalg(Exchange& exchange) { return FromTls<&TlsTransport::signature>(exchange); }
Value GetSslClientSigalg(Exchange& exchange) {
  return FromTls<&TlsTransport::client_signature>(exchange);
}
Value GetSslSigalgs(Exchange& exchange) {
  return CopiedFromTls<&TlsTransport::signatures>(exchange);
}

// The handshake may end while the request is served: then it is no longer early.
Value GetSslEarlyData(Exchange& exchange) {
  const TlsTransport* const tls = exchange.stream().tls();
  return tls != nullptr && tls->is_early() ? Value::Of("1") : Value::None();
}

template <CertificateField kField>
Value GetSslClient(Exchange& exchange) {
  const TlsTransport* const tls = exchange.stream().tls();
  if (tls == nullptr) return Value::None();
  return TextOrNone(exchange.arena().Copy(tls->ClientCertificate(kField)));
}

template Value GetSslClient<CertificateField::kPemInHeader>(Exchange&);
template Value GetSslClient<CertificateField::kPemEscaped>(Exchange&);
template Value GetSslClient<CertificateField::kFingerprint>(Exchange&);
template Value GetSslClient<CertificateField::kIssuer>(Exchange&);
template Value GetSslClient<CertificateField::kIssuerLegacy>(Exchange&);
template Value GetSslClient<CertificateField::kPem>(Exchange&);
template Value GetSslClient<CertificateField::kSubject>(Exchange&);
template Value GetSslClient<CertificateField::kSubjectLegacy>(Exchange&);
template Value GetSslClient<CertificateField::kSerial>(Exchange&);
template Value GetSslClient<CertificateField::kVerify>(Exchange&);
template Value GetSslClient<CertificateField::kValidEnd>(Exchange&);
template Value GetSslClient<CertificateField::kValidDays>(Exchange&);
template Value GetSslClient<CertificateField::kValidStart>(Exchange&);

}  // namespace limpet::worker
