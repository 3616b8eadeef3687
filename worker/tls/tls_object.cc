#include "worker/tls/tls_object.h"

#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/store.h>
#include <openssl/ui.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/text.h"

namespace limpet::worker {
namespace {

// What OpenSSL's question for a password is answered with, and whether it asked.
struct Answer {
  const std::string* password = nullptr;  // null: there is none
  bool asked = false;
};

// OpenSSL asks for at most `size` bytes; -1: there is no password.
int GivePassword(char* buffer, int size, int /*writing*/, void* data) {
  auto& answer = *static_cast<Answer*>(data);
  answer.asked = true;
  if (answer.password == nullptr) return -1;
  const size_t length = std::min(answer.password->size(), static_cast<size_t>(size));
  std::memcpy(buffer, answer.password->data(), length);
  return static_cast<int>(length);
}

// Runs `read` with each password until one gives a key.
template <class Read>
Result<TlsObjectPtr> KeyWith(const TlsPasswords& passwords, std::string_view what, Read read) {
  const std::span<const std::string> all = passwords.all();
  auto object = std::make_shared<TlsObject>();
  for (size_t i = 0; i < std::max<size_t>(all.size(), 1); ++i) {
    TakeErrors();
    Answer answer{.password = all.empty() ? nullptr : &all[i]};
    object->key = read(&answer);
    object->encrypted = answer.asked;
    if (object->key || !answer.asked) break;
  }
  if (!object->key) return TlsError(fmt::format("{} failed", what));
  return TlsObjectPtr(std::move(object));
}

Result<TlsObjectPtr> ParseKey(BIO* bio, const TlsPasswords& passwords) {
  return KeyWith(passwords, "PEM_read_bio_PrivateKey()", [bio](Answer* answer) {
    BIO_ctrl(bio, BIO_CTRL_RESET, 0, nullptr);
    return KeyPtr(PEM_read_bio_PrivateKey(bio, nullptr, GivePassword, answer));
  });
}

Result<TlsObjectPtr> ParseChain(BIO* bio) {
  auto object = std::make_shared<TlsObject>();
  X509Ptr leaf(PEM_read_bio_X509_AUX(bio, nullptr, nullptr, nullptr));
  if (!leaf) return TlsError("PEM_read_bio_X509_AUX() failed");
  object->certificates.push_back(std::move(leaf));
  while (X509* issuer = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr)) {
    object->certificates.emplace_back(issuer);
  }
  const unsigned long end = ERR_peek_last_error();
  if (ERR_GET_LIB(end) != ERR_LIB_PEM || ERR_GET_REASON(end) != PEM_R_NO_START_LINE)
    return TlsError("PEM_read_bio_X509() failed");
  TakeErrors();
  return TlsObjectPtr(std::move(object));
}

// All certificates and revocation lists of a text, which is to have some of that kind.
Result<TlsObjectPtr> ParseInfos(TlsObjectKind kind, BIO* bio) {
  using Infos = STACK_OF(X509_INFO);
  const std::unique_ptr<Infos, void (*)(Infos*)> infos(
      PEM_X509_INFO_read_bio(bio, nullptr, nullptr, nullptr),
      [](Infos* all) { sk_X509_INFO_pop_free(all, X509_INFO_free); });
  if (!infos || sk_X509_INFO_num(infos.get()) == 0)
    return TlsError("PEM_X509_INFO_read_bio() failed");
  auto object = std::make_shared<TlsObject>();
  for (int i = 0; i < sk_X509_INFO_num(infos.get()); ++i) {
    X509_INFO* info = sk_X509_INFO_value(infos.get(), i);
    if (info->x509 != nullptr)
      object->certificates.emplace_back(std::exchange(info->x509, nullptr));
    if (info->crl != nullptr) object->crls.emplace_back(std::exchange(info->crl, nullptr));
  }
  TakeErrors();
  const bool wants_list = kind == TlsObjectKind::kRevoked;
  if (wants_list ? object->crls.empty() : object->certificates.empty())
    return InvalidArgument(fmt::format("there is no {} in it", wants_list ? "CRL" : "certificate"));
  return TlsObjectPtr(std::move(object));
}

KeyPtr NextKey(OSSL_STORE_CTX* store) {
  while (OSSL_STORE_eof(store) == 0) {
    using InfoPtr = std::unique_ptr<OSSL_STORE_INFO, FreeWith<OSSL_STORE_INFO_free>>;
    const InfoPtr info(OSSL_STORE_load(store));
    if (!info) {
      if (OSSL_STORE_error(store) != 0) break;
      continue;
    }
    if (OSSL_STORE_INFO_get_type(info.get()) == OSSL_STORE_INFO_PKEY)
      return KeyPtr(OSSL_STORE_INFO_get1_PKEY(info.get()));
  }
  return nullptr;
}

// OpenSSL has the same calls for a context and for one connection.
template <class To>
struct InstallCalls {
  int (*certificate)(To*, X509*);
  long (*control)(To*, int, long, void*);
  int (*key)(To*, EVP_PKEY*);
  const char* certificate_failed;
  const char* key_failed;
};
constexpr InstallCalls<SSL_CTX> kOfContext = {
    SSL_CTX_use_certificate, SSL_CTX_ctrl, SSL_CTX_use_PrivateKey,
    "SSL_CTX_use_certificate() failed", "SSL_CTX_use_PrivateKey() failed"};
constexpr InstallCalls<SSL> kOfConnection = {SSL_use_certificate, SSL_ctrl, SSL_use_PrivateKey,
                                             "SSL_use_certificate() failed",
                                             "SSL_use_PrivateKey() failed"};

template <class To>
Status Install(const TlsPair& pair, To* to, const InstallCalls<To>& calls) {
  const auto& certificates = pair.chain->certificates;
  bool good = calls.certificate(to, certificates.front().get()) == 1;
  calls.control(to, SSL_CTRL_CHAIN, 0, nullptr);
  for (size_t i = 1; good && i < certificates.size(); ++i) {
    good = calls.control(to, SSL_CTRL_CHAIN_CERT, 1, certificates[i].get()) == 1;
  }
  if (!good) return TlsError(calls.certificate_failed);
  if (calls.key(to, pair.key->key.get()) == 1) return {};
  return TlsError(calls.key_failed);
}

}  // namespace

bool TlsPair::Fits() const {
  TakeErrors();
  return X509_check_private_key(chain->certificates.front().get(), key->key.get()) == 1;
}

Status TlsPair::Use(SSL_CTX* context) const { return Install(*this, context, kOfContext); }

Status TlsPair::Use(SSL* ssl) const { return Install(*this, ssl, kOfConnection); }

TlsPasswords::TlsPasswords(std::string_view text) {
  for (std::string_view line : Split(text, '\n')) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) passwords_.emplace_back(line);
  }
}

TlsPasswords::~TlsPasswords() {
  for (std::string& password : passwords_) OPENSSL_cleanse(password.data(), password.size());
}

Result<TlsObjectPtr> ParseTlsObject(TlsObjectKind kind, std::string_view pem,
                                    const TlsPasswords& passwords) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return TlsError("BIO_new_mem_buf() failed");
  switch (kind) {
    case TlsObjectKind::kChain:
      return ParseChain(bio.get());
    case TlsObjectKind::kKey:
      return ParseKey(bio.get(), passwords);
    default:
      return ParseInfos(kind, bio.get());
  }
}

Result<TlsObjectPtr> OpenStoredKey(const std::string& uri, const TlsPasswords& passwords) {
  using MethodPtr = std::unique_ptr<UI_METHOD, FreeWith<UI_destroy_method>>;
  const MethodPtr method(UI_UTIL_wrap_read_pem_callback(GivePassword, 0));
  return KeyWith(passwords, "OSSL_STORE_open()", [&](Answer* answer) -> KeyPtr {
    using StorePtr = std::unique_ptr<OSSL_STORE_CTX, FreeWith<OSSL_STORE_close>>;
    const StorePtr store(OSSL_STORE_open(uri.c_str(), method.get(), answer, nullptr, nullptr));
    return store ? NextKey(store.get()) : nullptr;
  });
}

Error CannotLoad(TlsObjectKind kind, std::string_view name, const Error& why) {
  constexpr std::string_view kWhat[] = {"certificate", "certificate key", "CA certificates", "CRL"};
  return InvalidArgument(fmt::format("cannot load {} \"{}\": {}", kWhat[static_cast<size_t>(kind)],
                                     name, why.message));
}

}  // namespace limpet::worker
