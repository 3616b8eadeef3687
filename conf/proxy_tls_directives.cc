// proxy_ssl_*: TLS towards upstreams.
#include <array>

#include "conf/loader.h"
#include "conf/setting.h"
#include "conf/tables.h"
#include "conf/tls_arguments.h"

namespace limpet::conf {
namespace {

using P = ProxySettings;
using T = TlsClientSettings;

Status Command(Block& b, const Directive& d) {
  return AddTlsCommand(b, d, b.location->proxy.tls.commands);
}

// "" is no certificate, whatever was inherited.
template <auto Field, bool kKey>
Status Name(Block& b, const Directive& d) {
  Template& name = b.location->proxy.*Field;
  if (!d.args[0].empty()) return CompileTlsName(b, d, kKey, name);
  name = Template();
  return {};
}

Status CertificateCache(Block& b, const Directive& d) {
  return ParseTlsCertificateCache(d, b.location->proxy.ssl_certificate_cache);
}

constexpr uint32_t kHere = kHttpServerLocation;
constexpr auto kProxy = &Location::proxy;
constexpr auto kTls = &P::tls;

template <auto Field>
constexpr Handler kPath = Setting<ConfDirPath, kProxy, kTls, Field>;

constexpr std::array kRows = std::to_array<Row>({
    {"proxy_ssl_server_name", kHere, kOneArg, kOnce, Setting<Flag, kProxy, &P::ssl_server_name>,
     "off", "tell the upstream server's name in the handshake (SNI)"},
    {"proxy_ssl_name", kHere, kOneArg, kOnce, Setting<Strings, kProxy, &P::ssl_name>, "$proxy_host",
     "the upstream server's name, for SNI and verification"},
    {"proxy_ssl_session_reuse", kHere, kOneArg, kOnce, Setting<Flag, kProxy, &P::ssl_session_reuse>,
     "on", "resume TLS sessions with upstream servers"},
    {"proxy_ssl_protocols", kHere, AtLeast(1), kMany,
     Bits<kTlsProtocols, kProxy, kTls, &T::protocols>, "TLSv1.2 TLSv1.3",
     "TLSv1 | TLSv1.1 | TLSv1.2 | TLSv1.3 …"},
    {"proxy_ssl_ciphers", kHere, kOneArg, kOnce, Setting<OpenSslText, kProxy, kTls, &T::ciphers>,
     "DEFAULT", "ciphers, as OpenSSL names them"},
    {"proxy_ssl_verify", kHere, kOneArg, kOnce, Setting<Flag, kProxy, kTls, &T::verify>, "off",
     "verify the upstream server's certificate"},
    {"proxy_ssl_verify_depth", kHere, kOneArg, kOnce,
     Setting<Number<>, kProxy, kTls, &T::verify_depth>, "1", "length of a certificate chain"},
    {"proxy_ssl_trusted_certificate", kHere, kOneArg, kOnce, kPath<&T::trusted_certificate>, "",
     "CAs for proxy_ssl_verify (PEM)"},
    {"proxy_ssl_crl", kHere, kOneArg, kOnce, kPath<&T::crl>, "", "revoked certificates (PEM)"},
    {"proxy_ssl_certificate", kHere, kOneArg, kOnce, Name<&P::ssl_certificate, false>, "",
     "our certificate, for upstream servers that ask: a PEM file, or data:PEM; \"\": none"},
    {"proxy_ssl_certificate_key", kHere, kOneArg, kOnce, Name<&P::ssl_certificate_key, true>, "",
     "the key of our certificate: a PEM file, data:PEM, or store:URI"},
    {"proxy_ssl_certificate_cache", kHere, Takes(1, 2, 3), kOnce, CertificateCache, "off",
     "off | max=N [inactive=10s] [valid=60s]: keeps what was read at handshakes, in each worker"},
    {"proxy_ssl_password_file", kHere, kOneArg, kOnce, kPath<&T::password_file>, "",
     "passwords of encrypted keys, one a line"},
    {"proxy_ssl_conf_command", kHere, Takes(2), kMany, Command, "",
     "NAME VALUE: any other setting of OpenSSL"},
});

}  // namespace

constinit const std::span<const Row> kProxyTlsDirectives = kRows;

}  // namespace limpet::conf
