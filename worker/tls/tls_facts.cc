// What TlsTransport knows of a handshake, for variables.
#include <fmt/core.h>
#include <openssl/objects.h>

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "worker/tls/openssl.h"
#include "worker/tls/tls_transport.h"

namespace limpet::worker {

std::string_view TlsTransport::protocol() const { return SSL_get_version(ssl_); }

std::string_view TlsTransport::cipher() const {
  const char* name = SSL_get_cipher_name(ssl_);
  return name == nullptr ? "" : name;
}

std::string_view TlsTransport::server_name() const {
  const char* name = SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name);
  return name == nullptr ? "" : name;
}

std::string_view TlsTransport::alpn() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

namespace {

std::string CurveName(int nid) {
  if ((nid & TLSEXT_nid_unknown) != 0) return fmt::format("0x{:04x}", nid & 0xffff);
  const char* name = OBJ_nid2sn(nid);
  return name == nullptr ? "" : name;
}

}  // namespace

std::string TlsTransport::ciphers() const {
  std::string joined;
  const unsigned char* raw = nullptr;
  const long each = SSL_ctrl(ssl_, SSL_CTRL_GET_RAW_CIPHERLIST, 0, nullptr);  // bytes of one
  const long size = SSL_ctrl(ssl_, SSL_CTRL_GET_RAW_CIPHERLIST, 0, &raw);
  for (long at = 0; each > 0 && at + each <= size; at += each) {
    const SSL_CIPHER* known = SSL_CIPHER_find(ssl_, raw + at);
    if (at > 0) joined += ':';
    joined += known != nullptr ? SSL_CIPHER_get_name(known)
                               : "0x" + HexLower(raw + at, static_cast<size_t>(each));
  }
  return joined;
}

std::string TlsTransport::curve() const {
  const long nid = SSL_ctrl(ssl_, SSL_CTRL_GET_NEGOTIATED_GROUP, 0, nullptr);
  return nid <= 0 ? "" : CurveName(static_cast<int>(nid));
}

std::string TlsTransport::curves() const {
  const long count = SSL_ctrl(ssl_, SSL_CTRL_GET_CURVES, 0, nullptr);
  std::vector<int> nids(static_cast<size_t>(std::max(count, 0L)));
  if (!nids.empty()) SSL_ctrl(ssl_, SSL_CTRL_GET_CURVES, 0, nids.data());
  std::string joined;
  for (const int nid : nids) {
    if (!joined.empty()) joined += ':';
    joined += CurveName(nid);
  }
  return joined;
}

// OpenSSL 3.5 and later know the names.
std::string_view TlsTransport::signature() const {
#ifdef SSL_get0_signature_name
  const char* name = nullptr;
  if (SSL_get0_signature_name(ssl_, &name) == 1) return name;
#endif
  return {};
}

std::string_view TlsTransport::client_signature() const {
#ifdef SSL_get0_peer_signature_name
  const char* name = nullptr;
  if (SSL_get0_peer_signature_name(ssl_, &name) == 1) return name;
#endif
  return {};
}

std::string TlsTransport::signatures() const {
  const int count = SSL_get_sigalgs(ssl_, -1, nullptr, nullptr, nullptr, nullptr, nullptr);
  std::string joined;
  for (int i = 0; i < count; ++i) {
    unsigned char signature = 0;
    unsigned char hash = 0;
    SSL_get_sigalgs(ssl_, i, nullptr, nullptr, nullptr, &signature, &hash);
    joined += fmt::format("{}0x{:02x}{:02x}", i > 0 ? ":" : "", hash, signature);
  }
  return joined;
}

bool TlsTransport::session_reused() const { return SSL_session_reused(ssl_) == 1; }

std::string TlsTransport::session_id() const {
  const SSL_SESSION* session = SSL_get0_session(ssl_);
  if (session == nullptr) return {};
  unsigned size = 0;
  const unsigned char* id = SSL_SESSION_get_id(session, &size);
  return HexLower(id, size);
}

}  // namespace limpet::worker
