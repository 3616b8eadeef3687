#include "worker/tls/staple.h"

#include <fmt/core.h>
#include <openssl/ocsp.h>

#include "base/clock.h"
#include "worker/tls/openssl.h"
#include "worker/tls/pem_files.h"

namespace limpet::worker {

Status Staple::Load(const std::string& file, PemFiles& files) {
  using ResponsePtr = std::unique_ptr<OCSP_RESPONSE, FreeWith<OCSP_RESPONSE_free>>;
  const auto text = files.Read(file);
  if (!text) return text.error();
  const auto* at = reinterpret_cast<const unsigned char*>(text->data());
  const auto* const begin = at;
  const ResponsePtr parsed(d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(text->size())));
  if (!parsed) return TlsError(fmt::format("d2i_OCSP_RESPONSE_bio(\"{}\") failed", file));
  from_file_ = text->substr(0, static_cast<size_t>(at - begin));
  return {};
}

void Staple::Ask(std::unique_ptr<const OcspSubject> subject) {
  asked_.push_back({.subject = std::move(subject)});
}

void Staple::Install(SSL_CTX* context) {
  SSL_CTX_callback_ctrl(context, SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB,
                        reinterpret_cast<void (*)()>(&OnStatusWanted));
  SSL_CTX_ctrl(context, SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB_ARG, 0, this);
}

std::string_view Staple::ResponseFor(const X509* certificate) const {
  for (const Asked& asked : asked_) {
    if (asked.subject->certificate() != certificate) continue;
    if (Now().seconds >= asked.valid_until_s)
      return {};  // and the responder has not answered since
    return asked.response;
  }
  return from_file_;
}

int Staple::OnStatusWanted(SSL* ssl, void* self) noexcept {
  const std::string_view text =
      static_cast<const Staple*>(self)->ResponseFor(SSL_get_certificate(ssl));
  if (text.empty()) return SSL_TLSEXT_ERR_NOACK;
  void* copy = OPENSSL_memdup(text.data(), text.size());  // OpenSSL frees it
  if (copy == nullptr) return SSL_TLSEXT_ERR_NOACK;
  SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP, static_cast<long>(text.size()), copy);
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace limpet::worker
