#include "worker/tls/ticket_keys.h"

#include <fmt/core.h>
#include <openssl/core_names.h>
#include <openssl/rand.h>

#include <cstring>

#include "base/clock.h"
#include "shm/tls_session_table.h"
#include "worker/tls/openssl.h"
#include "worker/tls/pem_files.h"
#include "worker/tls/tls_transport.h"

namespace limpet::worker {
namespace {

int KeysIndex() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

const TicketKeys* KeysOf(const SSL_CTX* context) {
  return static_cast<const TicketKeys*>(SSL_CTX_get_ex_data(context, KeysIndex()));
}

}  // namespace

// OpenSSL asks for the cipher and the MAC of a ticket that is made (`making`) or was shown. 1: go
// on; 2: go on, and give the client a new one; 0: not ours; -1: give up.
struct TicketKeys::Callback {
  static int Choose(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                    EVP_MAC_CTX* mac, int making) noexcept {
    // Those of the server that was asked for; it has this callback from the one before it.
    const TicketKeys* self = KeysOf(SSL_get_SSL_CTX(ssl));
    if (self == nullptr) self = KeysOf(TlsTransport::FirstContext(ssl));
    if (self == nullptr) return -1;
    if (self->shared_ == nullptr) return Use(ssl, self->keys_, name, iv, cipher, mac, making);
    std::vector<Key> keys = self->SharedKeys();
    const int result = Use(ssl, keys, name, iv, cipher, mac, making);
    Wipe(keys);
    return result;
  }

  static int Use(SSL* ssl, const std::vector<Key>& keys, unsigned char* name, unsigned char* iv,
                 EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, int making) {
    return making == 1 ? Make(keys.front(), name, iv, cipher, mac)
                       : Open(ssl, keys, name, iv, cipher, mac);
  }

  static void Wipe(std::vector<Key>& keys) {
    for (Key& key : keys) OPENSSL_cleanse(&key, sizeof key);
  }

  static int Make(const Key& key, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                  EVP_MAC_CTX* mac) {
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(Cipher(key))) != 1) return -1;
    if (EVP_EncryptInit_ex(cipher, Cipher(key), nullptr, key.cipher.data(), iv) != 1) return -1;
    std::memcpy(name, key.name.data(), key.name.size());
    return SetMac(key, mac) ? 1 : -1;
  }

  static int Open(SSL* ssl, const std::vector<Key>& keys, const unsigned char* name,
                  const unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) {
    for (const Key& key : keys) {
      if (std::memcmp(name, key.name.data(), key.name.size()) != 0) continue;
      if (EVP_DecryptInit_ex(cipher, Cipher(key), nullptr, key.cipher.data(), iv) != 1) return -1;
      if (!SetMac(key, mac)) return -1;
      // A TLS 1.3 ticket should be used once only (RFC 8446 C.4).
      const bool renew = &key != &keys.front() || SSL_version(ssl) == TLS1_3_VERSION;
      return renew ? 2 : 1;
    }
    return 0;
  }

  static const EVP_CIPHER* Cipher(const Key& key) {
    return key.half == 32 ? EVP_aes_256_cbc() : EVP_aes_128_cbc();
  }

  static bool SetMac(const Key& key, EVP_MAC_CTX* mac) {
    auto* bytes = const_cast<unsigned char*>(key.mac.data());  // OSSL_PARAM knows no const
    char digest[] = "SHA256";
    const std::array<OSSL_PARAM, 3> parameters = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, bytes, key.half),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    return EVP_MAC_CTX_set_params(mac, parameters.data()) == 1;
  }
};

TicketKeys::~TicketKeys() { Callback::Wipe(keys_); }

Status TicketKeys::Load(const std::vector<std::string>& paths, PemFiles& files) {
  keys_.reserve(paths.size());
  for (const std::string& path : paths) {
    const auto text = files.Read(path);
    if (!text) return text.error();
    if (text->size() != 48 && text->size() != 80)
      return InvalidArgument(fmt::format("\"{}\" must be 48 or 80 bytes", path));
    Key& key = keys_.emplace_back();
    std::memcpy(key.name.data(), text->data(), key.name.size());
    const char* rest = text->data() + key.name.size();
    key.half = text->size() == 80 ? 32 : 16;
    // The shorter form has the cipher's key first, the longer one the MAC's.
    const bool mac_first = key.half == 32;
    std::memcpy(mac_first ? key.mac.data() : key.cipher.data(), rest, key.half);
    std::memcpy(mac_first ? key.cipher.data() : key.mac.data(), rest + key.half, key.half);
  }
  return {};
}

std::vector<TicketKeys::Key> TicketKeys::SharedKeys() const {
  auto secrets = shared_->Tickets(shared_life_ms_, MonotonicMs());
  std::vector<Key> keys;
  for (const shm::TicketSecret& secret : secrets) {
    keys.push_back({.name = secret.name, .mac = secret.mac, .cipher = secret.cipher, .half = 32});
  }
  OPENSSL_cleanse(&secrets, sizeof secrets);
  return keys;
}

Status TicketKeys::Share(SSL_CTX* context, shm::TlsSessionTable* table, uint64_t life_ms) {
  if (!keys_.empty()) return {};
  shared_ = table;
  shared_life_ms_ = life_ms;
  return Install(context);
}

Status TicketKeys::Install(SSL_CTX* context) {
  if (keys_.empty() && shared_ == nullptr) return {};
  if (SSL_CTX_set_ex_data(context, KeysIndex(), this) != 1 ||
      SSL_CTX_set_tlsext_ticket_key_evp_cb(context, &Callback::Choose) != 1) {
    return TlsError("SSL_CTX_set_tlsext_ticket_key_evp_cb() failed");
  }
  return {};
}

}  // namespace limpet::worker
