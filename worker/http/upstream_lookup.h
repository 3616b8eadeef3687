// Which upstream a proxy_pass with variables means, and from which address to connect.
#pragma once

#include <string_view>

#include "base/socket_address.h"
#include "conf/proxy.h"
#include "worker/http/runtime.h"
#include "worker/net/plain_transport.h"

namespace limpet::worker {

class Exchange;

struct ProxyUrl {  // views of the parsed text
  bool https = false;
  std::string_view host;         // "name", "[::1]", or "unix:/path"
  std::string_view port;         // "80" if none was given
  std::string_view host_header;  // host with its port as written: $proxy_host
  std::string_view uri;          // from the path on; "" if there is none
};

// False if it is no http:// URL.
bool ParseProxyUrl(std::string_view text, ProxyUrl* out);

// An upstream block of that name, else a group of its own for a literal address, kept for the life of the worker. Null: the
// host is a name that only a resolver could find.
UpstreamRuntime* FindUpstreamByUrl(Runtime& runtime, const ProxyUrl& url);

// proxy_bind. False if its value is no address (logged).
bool ChooseBindAddress(Exchange& exchange, const conf::ProxySettings& proxy, SocketAddress* address, ConnectOptions* options);

}  // namespace limpet::worker
