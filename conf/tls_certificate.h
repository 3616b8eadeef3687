// The names of certificates and keys (ssl_certificate, proxy_ssl_certificate and their keys): an
// absolute path, or `data:` followed by the PEM text itself, or, for a key, `store:` and a URI for
// OpenSSL's loaders. With variables, a name that is none of these is taken from the folder of the
// configuration file when it is used.
#pragma once

#include <cstddef>
#include <string_view>

#include "conf/upstream.h"

namespace limpet::conf {

constexpr std::string_view kTlsData = "data:";
constexpr std::string_view kTlsStore = "store:";
constexpr std::string_view kTlsEngine = "engine:";

constexpr bool IsTlsPath(std::string_view name, bool is_key) {
  return !name.starts_with(kTlsData) && !(is_key && name.starts_with(kTlsStore));
}

// What a worker keeps of certificates and keys that were loaded at handshakes. All who inherit the
// directive share one cache: the address of this object is the cache's identity.
struct TlsCertificateCache {
  size_t max = 0;
  Ms valid = 60s;     // then the file is looked at again
  Ms inactive = 10s;  // unused for longer: forgotten
};

}  // namespace limpet::conf
