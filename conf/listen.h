// listen, server_name and TLS of a server.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/socket_address.h"
#include "conf/regex.h"
#include "conf/template.h"
#include "conf/tls_certificate.h"
#include "conf/upstream.h"

namespace limpet::conf {

struct Listen {
  SocketAddress address;
  std::string text;         // as written
  std::string declared_at;  // "FILE:LINE"
  bool default_server = false;
  bool ssl = false;
  bool http2 = false;  // for all servers of the address, whatever their `http2` says
  bool proxy_protocol = false;
  bool reuseport = false;
  bool ipv6only = true;
  bool deferred = false;
  bool bind = false;
  bool multipath = false;  // MPTCP, if the kernel has it
  int backlog = 511;
  int rcvbuf = 0;
  int sndbuf = 0;
  int fastopen = 0;
  int so_keepalive = 0;  // 0: the system's, 1: on, -1: off
  int keepidle = 0, keepintvl = 0, keepcnt = 0;
};

struct ServerName {
  enum class Kind : uint8_t {
    kExact,         // a.b
    kWildcardHead,  // *.b
    kWildcardTail,  // a.*
    kDotted,        // .a.b
    kRegex,         // ~…
    kNone           // fits no host: its asterisk or dots are misplaced
  };
  Kind kind = Kind::kExact;
  std::string text;    // lower case; without the asterisk or the leading dot
  std::string source;  // lower case, as written: $server_name if it is the first
  std::shared_ptr<const Regex> regex;
  std::vector<VariableId> named;
  std::string declared_at;  // "FILE:LINE"
};

enum TlsProtocol : uint32_t {
  kTls1 = 1u << 0,
  kTls11 = 1u << 1,
  kTls12 = 1u << 2,
  kTls13 = 1u << 3
};

// Memory of TLS sessions that all workers share (ssl_session_cache shared:NAME:SIZE).
struct TlsSessionZone {
  std::string name;
  size_t size = 0;
};

struct TlsSettings {
  std::vector<Template> certificates;  // names (tls_certificate.h) of certificates and their keys
  std::vector<Template> certificate_keys;
  std::shared_ptr<const TlsCertificateCache> certificate_cache;  // null: none
  std::string ciphers = "HIGH:!aNULL:!MD5";
  bool prefer_server_ciphers = false;
  uint32_t protocols = kTls12 | kTls13;
  enum class SessionCache : uint8_t {
    kOff,
    kNone,
    kBuiltin,
    kShared
  } session_cache = SessionCache::kNone;
  int session_zone = -1;  // of kShared: index into Http::tls_session_zones
  bool session_tickets = true;
  Ms session_timeout = 5min;
  size_t buffer_size = 16384;
  bool reject_handshake = false;
  enum class VerifyClient : uint8_t {
    kOff,
    kOn,
    kOptional,
    kOptionalNoCa
  } verify_client = VerifyClient::kOff;
  int verify_depth = 1;
  std::string client_certificate;   // CAs of clients, named to them
  std::string trusted_certificate;  // more of them, not named
  std::string crl;
  std::string password_file;             // for encrypted keys
  std::string ecdh_curve = "auto";       // a list for OpenSSL, or its own choice
  std::string dhparam;                   // parameters for DHE (PEM)
  std::vector<std::string> ticket_keys;  // files of 48 or 80 bytes
  std::vector<std::pair<std::string, std::string>> commands;  // of SSL_CONF_cmd
  bool early_data = false;                                    // 0-RTT of TLS 1.3
  bool stapling = false;
  bool stapling_verify = false;
  std::string stapling_file;       // a response of OCSP (DER); "": it is asked for
  std::string stapling_responder;  // instead of the certificate's own; "": that one

  // They are read when a client connects, not with the configuration.
  bool certificates_vary() const {
    const auto varies = [](const Template& name) { return !name.is_constant(); };
    return std::any_of(certificates.begin(), certificates.end(), varies) ||
           std::any_of(certificate_keys.begin(), certificate_keys.end(), varies);
  }
};

}  // namespace limpet::conf
