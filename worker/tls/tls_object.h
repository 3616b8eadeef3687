// Certificates, keys and revocation lists as OpenSSL holds them, out of PEM text. An object is
// immutable, and shared by the contexts and connections that use it. For worker/tls only, but for
// the pointer.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "worker/tls/openssl.h"

namespace limpet::worker {

enum class TlsObjectKind : uint8_t {
  kChain,  // a leaf with the chain that follows it
  kKey,
  kTrusted,  // certificates in any order
  kRevoked,
};

struct TlsObject {
  std::vector<X509Ptr> certificates;
  std::vector<CrlPtr> crls;
  KeyPtr key;
  bool encrypted = false;  // a password has opened it: it must not outlive its use
};
using TlsObjectPtr = std::shared_ptr<const TlsObject>;

// A certificate with its chain, and its key.
struct TlsPair {
  TlsObjectPtr chain;
  TlsObjectPtr key;

  bool Fits() const;  // the key is the certificate's; if not, OpenSSL's error queue says so
  // Beside what is there of other kinds of keys.
  Status Use(SSL_CTX* context) const;
  Status Use(SSL* ssl) const;
};

// Passwords of encrypted keys, each is tried. Wiped at the end.
class TlsPasswords {
 public:
  TlsPasswords() = default;
  explicit TlsPasswords(std::string_view text);  // one a line
  ~TlsPasswords();
  TlsPasswords(TlsPasswords&&) = default;
  TlsPasswords& operator=(TlsPasswords&&) = default;

  std::span<const std::string> all() const { return passwords_; }

 private:
  std::vector<std::string> passwords_;
};

// The error says what of the text was wrong, not whose it is.
Result<TlsObjectPtr> ParseTlsObject(TlsObjectKind kind, std::string_view pem,
                                    const TlsPasswords& passwords);
// A key out of one of OpenSSL's stores (PKCS#11 and such, by providers).
Result<TlsObjectPtr> OpenStoredKey(const std::string& uri, const TlsPasswords& passwords);

// `cannot load certificate "F": WHY`
Error CannotLoad(TlsObjectKind kind, std::string_view name, const Error& why);

}  // namespace limpet::worker
