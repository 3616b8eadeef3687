// proxy_ssl_*: TLS towards upstreams.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "conf/listen.h"

namespace limpet::conf {

// What a TLS context is made of; locations with equal settings share one.
struct TlsClientSettings {
  uint32_t protocols = kTls12 | kTls13;
  std::string ciphers = "DEFAULT";
  std::vector<std::pair<std::string, std::string>> commands;  // of SSL_CONF_cmd
  bool verify = false;
  int verify_depth = 1;
  std::string trusted_certificate;  // absolute paths; "": none
  bool trusts_system = false;       // the certificates that the system trusts instead
  std::string crl;
  std::string certificate;  // both "" if either has variables: ProxySettings::ssl_certificate
  std::string certificate_key;
  std::string password_file;

  bool operator==(const TlsClientSettings&) const = default;
};

}  // namespace limpet::conf
