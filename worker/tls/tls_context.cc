#include "worker/tls/tls_context.h"

#include <fmt/core.h>
#include <openssl/x509.h>

#include <array>

#include "worker/tls/openssl.h"
#include "worker/tls/pem_files.h"
#include "worker/tls/shared_sessions.h"
#include "worker/tls/tls_transport.h"

namespace limpet::worker {
namespace {

using SessionCache = conf::TlsSettings::SessionCache;

constexpr uint32_t kMaxEarlyData = 16384;

// SSL_CTX_ctrl behind a macro casts in C's way; one place for it.
long SetCacheMode(SSL_CTX* context, long mode) {
  return SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, mode, nullptr);
}

long CacheMode(SessionCache cache) {
  switch (cache) {
    case SessionCache::kOff:
      return SSL_SESS_CACHE_OFF;
    case SessionCache::kNone:
      // Sessions have ids as if they could be resumed: there are clients that want it so.
      return SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_AUTO_CLEAR |
             SSL_SESS_CACHE_NO_INTERNAL_STORE;
    default:
      return SSL_SESS_CACHE_SERVER;
  }
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
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN,
               nullptr);
  SSL_CTX_set_read_ahead(context,
                         1);  // one system call for a record and what follows, not two each
}

Status UseCiphers(SSL_CTX* context, const std::string& ciphers) {
  if (SSL_CTX_set_cipher_list(context, ciphers.c_str()) == 1) return {};
  return TlsError(fmt::format("SSL_CTX_set_cipher_list(\"{}\") failed", ciphers));
}

// The handshake goes on whatever a certificate is worth: who asked for it looks at the result.
int AcceptForNow(int /*verified*/, X509_STORE_CTX* /*store*/) { return 1; }

Status ApplyCommands(SSL_CTX* context,
                     const std::vector<std::pair<std::string, std::string>>& commands) {
  using ConfPtr = std::unique_ptr<SSL_CONF_CTX, FreeWith<SSL_CONF_CTX_free>>;
  if (commands.empty()) return {};
  const ConfPtr conf(SSL_CONF_CTX_new());
  SSL_CONF_CTX_set_flags(conf.get(), SSL_CONF_FLAG_FILE | SSL_CONF_FLAG_SERVER |
                                         SSL_CONF_FLAG_CLIENT | SSL_CONF_FLAG_CERTIFICATE |
                                         SSL_CONF_FLAG_SHOW_ERRORS);
  SSL_CONF_CTX_set_ssl_ctx(conf.get(), context);
  for (const auto& [name, value] : commands) {
    const int result = SSL_CONF_cmd(conf.get(), name.c_str(), value.c_str());
    if (result <= 0)
      return TlsError(fmt::format("SSL_CONF_cmd(\"{}\", \"{}\") failed", name, value));
  }
  if (SSL_CONF_CTX_finish(conf.get()) != 1) return TlsError("SSL_CONF_CTX_finish() failed");
  return {};
}

}  // namespace

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

Result<std::unique_ptr<TlsContext>> TlsContext::ForServer(const conf::TlsSettings& settings,
                                                          PemFiles& files) {
  std::unique_ptr<TlsContext> context(new TlsContext);
  context->rejects_ = settings.reject_handshake;
  context->record_size_ = settings.buffer_size;
  context->context_ = SSL_CTX_new(TLS_server_method());
  if (context->context_ == nullptr) return TlsError("SSL_CTX_new() failed");
  if (Status status = context->Configure(settings, files); !status) return status.error();
  if (Status status = context->LoadCertificates(settings, files); !status) return status.error();
  if (Status status = context->AskForCertificates(settings, files); !status) return status.error();
  if (Status status = context->ConfigureSessions(settings, files); !status) return status.error();
  if (Status status = context->ConfigureStaple(settings, files); !status) return status.error();
  Status status = ApplyCommands(context->context_, settings.commands);
  if (!status) return status.error();
  return context;
}

Status TlsContext::Configure(const conf::TlsSettings& settings, PemFiles& files) {
  uint64_t options = DisabledProtocols(settings.protocols) | SSL_OP_NO_COMPRESSION |
                     SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF;
  if (settings.prefer_server_ciphers) options |= SSL_OP_CIPHER_SERVER_PREFERENCE;
  SSL_CTX_set_options(context_, options);
  SetModes(context_);
  if (settings.early_data) {
    // Replays are the application's to refuse ($ssl_early_data): one worker alone cannot see them.
    SSL_CTX_set_max_early_data(context_, kMaxEarlyData);
    SSL_CTX_set_options(context_, SSL_OP_NO_ANTI_REPLAY);
  }
  if (Status status = UseCiphers(context_, settings.ciphers); !status) return status;
  if (Status status = ConfigureKeyExchange(settings, files); !status) return status;
  SSL_CTX_set_alpn_select_cb(context_, &TlsTransport::OnAlpn, nullptr);
  SSL_CTX_set_client_hello_cb(context_, &TlsTransport::OnClientHello, nullptr);
  SSL_CTX_callback_ctrl(context_, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB,
                        reinterpret_cast<void (*)()>(&TlsTransport::OnServerName));
  return {};
}

Status TlsContext::ConfigureKeyExchange(const conf::TlsSettings& settings, PemFiles& files) {
  if (!settings.dhparam.empty()) {
    if (Status status = files.UseDhParameters(context_, settings.dhparam); !status) return status;
  }
  if (settings.ecdh_curve == "auto") return {};
  std::string curves = settings.ecdh_curve;  // the control call takes a writable pointer
  if (SSL_CTX_ctrl(context_, SSL_CTRL_SET_GROUPS_LIST, 0, curves.data()) == 1) return {};
  return TlsError(fmt::format("SSL_CTX_set1_curves_list(\"{}\") failed", settings.ecdh_curve));
}

// A session may be resumed only where the same certificate was shown and the same was asked of the
// client: else the answer of one server's verification would pass for another's.
Status TlsContext::ScopeSessions(const conf::TlsSettings& settings, PemFiles& files) {
  const std::unique_ptr<EVP_MD_CTX, FreeWith<EVP_MD_CTX_free>> digest(EVP_MD_CTX_new());
  EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr);
  const auto add = [&](TlsObjectKind kind, const std::string& name) -> Status {
    const auto object = files.Get(kind, name);
    if (!object) return object.error();
    std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
    unsigned size = 0;
    for (const X509Ptr& certificate : (*object)->certificates) {
      X509_digest(certificate.get(), EVP_sha256(), hash.data(), &size);
      EVP_DigestUpdate(digest.get(), hash.data(), size);
    }
    for (const CrlPtr& list : (*object)->crls) {
      X509_CRL_digest(list.get(), EVP_sha256(), hash.data(), &size);
      EVP_DigestUpdate(digest.get(), hash.data(), size);
    }
    return {};
  };
  for (const conf::Template& name : settings.certificates) {
    if (settings.certificates_vary()) {
      EVP_DigestUpdate(digest.get(), name.source().data(), name.source().size());
    } else if (Status s = add(TlsObjectKind::kChain, name.source()); !s) {
      return s;
    }
  }
  if (settings.verify_client != conf::TlsSettings::VerifyClient::kOff) {
    const auto mode = static_cast<unsigned char>(settings.verify_client);
    EVP_DigestUpdate(digest.get(), &mode, sizeof mode);
    EVP_DigestUpdate(digest.get(), &settings.verify_depth, sizeof settings.verify_depth);
    for (const std::string& file : {settings.client_certificate, settings.trusted_certificate}) {
      if (file.empty()) continue;
      if (Status s = add(TlsObjectKind::kTrusted, file); !s) return s;
    }
    if (!settings.crl.empty()) {  // whoever has been revoked has to show a certificate again
      if (Status s = add(TlsObjectKind::kRevoked, settings.crl); !s) return s;
    }
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> scope{};
  unsigned scope_size = 0;
  EVP_DigestFinal_ex(digest.get(), scope.data(), &scope_size);
  SSL_CTX_set_session_id_context(context_, scope.data(),
                                 std::min<unsigned>(scope_size, SSL_MAX_SID_CTX_LENGTH));
  return {};
}

Status TlsContext::ConfigureSessions(const conf::TlsSettings& settings, PemFiles& files) {
  if (Status status = ScopeSessions(settings, files); !status) return status;
  SSL_CTX_set_timeout(context_, settings.session_timeout.count() / 1000);
  if (!settings.session_tickets) SSL_CTX_set_options(context_, SSL_OP_NO_TICKET);
  SetCacheMode(context_, CacheMode(settings.session_cache));
  if (Status status = ticket_keys_.Load(settings.ticket_keys, files); !status) return status;
  return ticket_keys_.Install(context_);
}

Status TlsContext::ShareSessions(shm::TlsSessionTable* table) {
  worker::ShareSessions(context_, table);
  const auto life_s = static_cast<uint64_t>(SSL_CTX_get_timeout(context_));
  return ticket_keys_.Share(context_, table, life_s * 1000);
}

Status TlsContext::LoadCertificates(const conf::TlsSettings& settings, PemFiles& files) {
  if (settings.certificates_vary()) {
    varying_ = &settings;
    SSL_CTX_set_cert_cb(context_, &TlsTransport::OnCertificatesWanted, nullptr);
    return LoadPasswords(settings.password_file, files);
  }
  for (size_t i = 0; i < settings.certificates.size(); ++i) {
    Status status =
        files.UsePair(context_, {.certificate = std::string(settings.certificates[i].constant()),
                                 .key = std::string(settings.certificate_keys[i].constant()),
                                 .password_file = settings.password_file});
    if (!status) return status;
  }
  return {};
}

// What cannot be asked about is a warning: the certificate is good without it.
Status TlsContext::ConfigureStaple(const conf::TlsSettings& settings, PemFiles& files) {
  if (!settings.stapling) return {};
  staple_.Install(context_);
  if (!settings.stapling_file.empty()) return staple_.Load(settings.stapling_file, files);
  if (settings.certificates_vary()) return {};  // they are not known
  for (const conf::Template& name : settings.certificates) {
    const auto chain = files.Get(TlsObjectKind::kChain, name.source());
    if (!chain) return chain.error();
    auto subject = OcspSubject::Make(*chain, context_,
                                     {.name = name.source(),
                                      .responder = settings.stapling_responder,
                                      .verify = settings.stapling_verify});
    if (subject) {
      staple_.Ask(std::move(*subject));
    } else {
      files.Warn(fmt::format("\"ssl_stapling\" ignored, {}", subject.error().message));
    }
  }
  return {};
}

Status TlsContext::LoadPasswords(const std::string& file, PemFiles& files) {
  if (file.empty()) return {};
  const auto text = files.Read(file);
  if (!text) return text.error();
  passwords_ = TlsPasswords(*text);
  return {};
}

Status TlsContext::AskForCertificates(const conf::TlsSettings& settings, PemFiles& files) {
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
    // As in nginx nobody reads what is for verification alone where there is none.
    if (file.empty() || (named && settings.verify_client == Verify::kOff)) continue;
    if (Status status = files.UseTrusted(context_, file, named); !status) return status;
  }
  return settings.crl.empty() ? Status{} : files.UseRevoked(context_, settings.crl);
}

Result<std::unique_ptr<TlsContext>> TlsContext::ForUpstream(const conf::TlsClientSettings& settings,
                                                            PemFiles& files) {
  std::unique_ptr<TlsContext> context(new TlsContext);
  context->context_ = SSL_CTX_new(TLS_client_method());
  if (context->context_ == nullptr) return TlsError("SSL_CTX_new() failed");
  if (Status status = context->ConfigureClient(settings, files); !status) return status.error();
  return context;
}

Status TlsContext::ConfigureClient(const conf::TlsClientSettings& settings, PemFiles& files) {
  // A server may renegotiate: some ask for a certificate only where a path needs one.
  SSL_CTX_set_options(context_, DisabledProtocols(settings.protocols) | SSL_OP_NO_COMPRESSION |
                                    SSL_OP_IGNORE_UNEXPECTED_EOF);
  SetModes(context_);
  if (Status status = UseCiphers(context_, settings.ciphers); !status) return status;
  SetCacheMode(context_, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context_, &TlsTransport::OnNewSession);
  if (settings.certificate.empty()) {
    if (Status status = LoadPasswords(settings.password_file, files); !status) return status;
  } else {
    Status status = files.UsePair(context_, {.certificate = settings.certificate,
                                             .key = settings.certificate_key,
                                             .password_file = settings.password_file});
    if (!status) return status;
  }
  verifies_ = settings.verify;
  if (verifies_) {
    if (settings.trusts_system) {
      SSL_CTX_set_default_verify_paths(context_);
    } else if (settings.trusted_certificate.empty()) {
      return InvalidArgument("no proxy_ssl_trusted_certificate for proxy_ssl_verify");
    } else if (Status status = files.UseTrusted(context_, settings.trusted_certificate, false);
               !status) {
      return status;
    }
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, AcceptForNow);
    SSL_CTX_set_verify_depth(context_, settings.verify_depth);
    if (!settings.crl.empty()) {
      if (Status crl = files.UseRevoked(context_, settings.crl); !crl) return crl;
    }
  }
  return ApplyCommands(context_, settings.commands);
}

}  // namespace limpet::worker
