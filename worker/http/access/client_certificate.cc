// ssl_verify_client: a request over a connection whose certificate is missing or bad is refused
// with 496 and 495, which clients see as 400.
#include <fmt/core.h>

#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/hooks.h"
#include "worker/tls/tls_transport.h"

namespace limpet::worker {

Refusal CheckClientCertificate(Exchange& exchange) {
  using Verify = conf::TlsSettings::VerifyClient;
  const Verify verify = exchange.request().server->tls.verify_client;
  const TlsTransport* const tls = exchange.stream().tls();
  if (verify == Verify::kOff || tls == nullptr) return {};
  const CertificateVerdict verdict = tls->client_verdict();
  if (verdict.sound || (verdict.shown && verdict.unknown_issuer && verify == Verify::kOptionalNoCa))
    return {};
  if (verdict.shown)
    return {495, fmt::format("client SSL certificate verify error: {}", verdict.text)};
  if (verify == Verify::kOn) return {496, "client sent no required SSL certificate"};
  return {};
}

}  // namespace limpet::worker
