// Which upstream a proxy_pass with variables means, and from which address to connect.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/socket_address.h"
#include "conf/proxy.h"
#include "worker/http/exchange/runtime.h"
#include "worker/http/proxy/upstream_runtime.h"
#include "worker/net/plain_transport.h"
#include "worker/upstream/resolver.h"

namespace limpet::worker {

class Exchange;

struct ProxyUrl {  // views of the parsed text
  bool https = false;
  std::string_view host;         // "name", "[::1]", or "unix:/path"
  std::string_view port;         // "80" if none was given
  std::string_view authority;    // host and port as written
  std::string_view host_header;  // the same without the scheme's own port: $proxy_host
  std::string_view uri;          // from the path on; "" if there is none
};

// False if it is no http:// URL.
bool ParseProxyUrl(std::string_view text, ProxyUrl* out);
// Nothing: what the URL says is no port, or it has none (unix:).
std::optional<uint16_t> PortOf(const ProxyUrl& url);

// The upstream block of that name, or null.
UpstreamRuntime* FindUpstreamBlock(Runtime& runtime, const ProxyUrl& url);
// The group of a literal address. Null: the host is a name that only a resolver could find.
std::shared_ptr<UrlGroup> FindAddressGroup(Runtime& runtime, const ProxyUrl& url);
// The addresses of one name, from an answer of the resolver. The URL's port must be one (PortOf).
std::shared_ptr<UrlGroup> FindResolvedGroup(Runtime& runtime, const ProxyUrl& url,
                                            const ResolveAnswer& answer);

// The resolver of a location, or null if it has none.
Resolver* FindResolver(Runtime& runtime, const conf::Location& location);
Resolver* FindResolver(Runtime& runtime, const conf::Resolver* conf);

// proxy_bind. False if its value is no address (logged).
bool ChooseBindAddress(Exchange& exchange, const conf::ProxySettings& proxy, SocketAddress* address,
                       ConnectOptions* options);

}  // namespace limpet::worker
