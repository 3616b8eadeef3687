#include "worker/tls/tls_context.h"

#include <fmt/core.h>

#include "worker/tls/openssl.h"
#include "worker/tls/pem_files.h"
#include "worker/tls/tls_transport.h"

namespace limpet::worker {
namespace {

using SessionCache = conf::TlsSettings::SessionCache;

// SSL_CTX_ctrl behind a macro casts in C's way; one place for it.
long SetCacheMode(SSL_CTX* context, long mode) {
  return SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, mode, nullptr);
}

uint64_t DisabledProtocols(uint32_t enabled) {
  uint64_t options = SSL_OP_NO_SSLv3;
  if ((enabled & conf::kTls1) == 0) options |= SSL_OP_NO_TLSv1;
  if ((enabled & conf::kTls11) == 0) options |= SSL_OP_NO_TLSv1_1;
  if ((enabled & conf::kTls12) == 0) options |= SSL_OP_NO_TLSv1_2;
  if ((enabled & conf::kTls13) == 0) options |= SSL_OP_NO_TLSv1_3;
  return options;
}

void SetModes(SSL_CTX* context) {
  SSL_CTX_ctrl(context, SSL_CTRL_MODE,
               SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                   SSL_MODE_RELEASE_BUFFERS,
               nullptr);
}

Status UseCiphers(SSL_CTX* context, const std::string& ciphers) {
  if (ciphers.empty() || SSL_CTX_set_cipher_list(context, ciphers.c_str()) == 1) return {};
  return TlsError(fmt::format("SSL_CTX_set_cipher_list(\"{}\") failed", ciphers));
}

// The handshake goes on whatever a certificate is worth: who asked for it looks at the result.
int AcceptForNow(int /*verified*/, X509_STORE_CTX* /*store*/) { return 1; }

int ChooseAlpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
               unsigned in_size, void* offer) {
  const auto& ours = *static_cast<const std::string_view*>(offer);
  auto* chosen = const_cast<unsigned char*>(*out);
  const int result =
      SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(ours.data()),
                            static_cast<unsigned>(ours.size()), in, in_size);
  if (result != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

// Wire format: length byte, name. OpenSSL keeps the pointer, so these live for ever.
constexpr std::string_view kHttp1Only = "\x08http/1.1\x08http/1.0\x08http/0.9";
constexpr std::string_view kHttp2First = "\x02h2\x08http/1.1\x08http/1.0\x08http/0.9";

void ConfigureSessions(SSL_CTX* context, const conf::TlsSettings& settings) {
  static constexpr unsigned char kScope[] = "limpet";
  SSL_CTX_set_session_id_context(context, kScope, sizeof kScope - 1);
  SSL_CTX_set_timeout(context, settings.session_timeout.count() / 1000);
  if (!settings.session_tickets) SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  const bool caches = settings.session_cache == SessionCache::kBuiltin ||
                      settings.session_cache == SessionCache::kShared;
  SetCacheMode(context, caches ? SSL_SESS_CACHE_SERVER : SSL_SESS_CACHE_OFF);
  constexpr size_t kBytesPerSession = 256;  // nginx: about 4000 in a megabyte
  if (settings.session_cache_size > 0) {
    const auto count = static_cast<long>(settings.session_cache_size / kBytesPerSession);
    SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_SIZE, count, nullptr);
  }
}

}  // namespace

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

Result<std::unique_ptr<TlsContext>> TlsContext::ForServer(const conf::TlsSettings& settings,
                                                          bool offer_http2) {
  std::unique_ptr<TlsContext> context(new TlsContext);
  context->offer_http2_ = offer_http2;
  context->rejects_ = settings.reject_handshake;
  context->record_size_ = settings.buffer_size;
  context->context_ = SSL_CTX_new(TLS_server_method());
  if (context->context_ == nullptr) return TlsError("SSL_CTX_new() failed");
  if (Status status = context->Configure(settings); !status) return status.error();
  if (Status status = context->LoadCertificates(settings); !status) return status.error();
  if (Status status = context->AskForCertificates(settings); !status) return status.error();
  Status status = ApplyCommands(context->context_, settings.commands);
  if (!status) return status.error();
  return context;
}

Status TlsContext::Configure(const conf::TlsSettings& settings) {
  uint64_t options = DisabledProtocols(settings.protocols) | SSL_OP_NO_COMPRESSION |
                     SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF;
  if (settings.prefer_server_ciphers) options |= SSL_OP_CIPHER_SERVER_PREFERENCE;
  SSL_CTX_set_options(context_, options);
  SetModes(context_);
  if (Status status = UseCiphers(context_, settings.ciphers); !status) return status;
  ConfigureSessions(context_, settings);
  SSL_CTX_set_alpn_select_cb(
      context_, ChooseAlpn,
      const_cast<std::string_view*>(offer_http2_ ? &kHttp2First : &kHttp1Only));
  SSL_CTX_callback_ctrl(context_, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB,
                        reinterpret_cast<void (*)()>(&TlsTransport::OnServerName));
  return {};
}

Status TlsContext::LoadCertificates(const conf::TlsSettings& settings) {
  for (size_t i = 0; i < settings.certificates.size(); ++i) {
    if (Status status = UseChain(context_, settings.certificates[i]); !status) return status;
    if (i >= settings.certificate_keys.size()) {
      return InvalidArgument(
          fmt::format("no \"ssl_certificate_key\" is defined for certificate \"{}\"",
                      settings.certificates[i]));
    }
    Status status = UseKey(context_, settings.certificate_keys[i], settings.password_file);
    if (!status) return status;
  }
  return {};
}

Status TlsContext::AskForCertificates(const conf::TlsSettings& settings) {
  using Verify = conf::TlsSettings::VerifyClient;
  if (settings.verify_client != Verify::kOff) {
    if (settings.client_certificate.empty() && settings.verify_client != Verify::kOptionalNoCa &&
        settings.trusted_certificate.empty()) {
      return InvalidArgument(
          "no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client");
    }
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, AcceptForNow);
    SSL_CTX_set_verify_depth(context_, settings.verify_depth);
  }
  for (const bool named : {true, false}) {
    const std::string& file = named ? settings.client_certificate : settings.trusted_certificate;
    if (file.empty()) continue;
    if (Status status = UseTrusted(context_, file, named); !status) return status;
  }
  return settings.crl.empty() ? Status{} : UseRevoked(context_, settings.crl);
}

Result<std::unique_ptr<TlsContext>> TlsContext::ForUpstream(
    const conf::TlsClientSettings& settings) {
  std::unique_ptr<TlsContext> context(new TlsContext);
  context->context_ = SSL_CTX_new(TLS_client_method());
  if (context->context_ == nullptr) return TlsError("SSL_CTX_new() failed");
  if (Status status = context->ConfigureClient(settings); !status) return status.error();
  return context;
}

Status TlsContext::ConfigureClient(const conf::TlsClientSettings& settings) {
  SSL_CTX_set_options(context_, DisabledProtocols(settings.protocols) | SSL_OP_NO_COMPRESSION |
                                    SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SetModes(context_);
  if (Status status = UseCiphers(context_, settings.ciphers); !status) return status;
  SetCacheMode(context_, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context_, &TlsTransport::OnNewSession);
  if (!settings.certificate.empty()) {
    if (settings.certificate_key.empty()) {
      return InvalidArgument(
          fmt::format("no \"proxy_ssl_certificate_key\" is defined for certificate \"{}\"",
                      settings.certificate));
    }
    if (Status status = UseChain(context_, settings.certificate); !status) return status;
    Status status = UseKey(context_, settings.certificate_key, settings.password_file);
    if (!status) return status;
  }
  verifies_ = settings.verify;
  if (verifies_) {
    if (settings.trusted_certificate.empty()) {
      return InvalidArgument("no proxy_ssl_trusted_certificate for proxy_ssl_verify");
    }
    Status status = UseTrusted(context_, settings.trusted_certificate, false);
    if (!status) return status;
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, AcceptForNow);
    SSL_CTX_set_verify_depth(context_, settings.verify_depth);
    if (!settings.crl.empty()) {
      if (Status crl = UseRevoked(context_, settings.crl); !crl) return crl;
    }
  }
  return ApplyCommands(context_, settings.commands);
}

}  // namespace limpet::worker
