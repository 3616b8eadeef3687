// Takes "host:port", "[::1]:80", "unix:/path" and what stands behind it apart. No look-ups.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace limpet::conf {

struct HostPort {
  std::string host;       // with the brackets of IPv6; the path of a Unix socket
  std::string port_text;  // as written; "" if none
  uint16_t port = 0;      // the default one if none is written
  bool has_port = false;
  bool is_unix = false;
  std::string uri;  // what follows: "/x", "?x", or nothing

  std::string name() const;  // "host:port" as written
};

// Errors are short ("invalid port", "no host", …): callers say in what. A URI is refused unless
// `uri_allowed`.
Result<HostPort> ParseHostPort(std::string_view text, uint16_t default_port, bool uri_allowed);

}  // namespace limpet::conf
