// Which upstream a proxy_pass with variables means, and from which address to connect.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/socket_address.h"
#include "conf/proxy.h"
#include "worker/http/runtime.h"
#include "worker/http/upstream_runtime.h"
#include "worker/net/plain_transport.h"
#include "worker/upstream/resolver.h"

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
// Nothing: what the URL says is no port, or it has none (unix:).
std::optional<uint16_t> PortOf(const ProxyUrl& url);

// An upstream block of that name, else a group of its own for a literal address, kept for the life
// of the worker. Null: the host is a name that only a resolver could find.
UpstreamRuntime* FindUpstreamByUrl(Runtime& runtime, const ProxyUrl& url);

// The addresses of one name, as a group: made from an answer of the resolver.
class ResolvedGroup final : public Deletable {
 public:
  ResolvedGroup(Runtime& runtime, const ProxyUrl& url, std::vector<SocketAddress> addresses);

  bool HasAddresses(const std::vector<SocketAddress>& addresses) const;
  UpstreamRuntime& upstream() { return upstream_; }

 private:
  conf::Upstream conf_;
  UpstreamRuntime upstream_;
};

// The URL's port must be one (PortOf). Freed by the loop when the last exchange lets go of it.
std::shared_ptr<ResolvedGroup> FindResolvedGroup(Runtime& runtime, const ProxyUrl& url,
                                                 const ResolveAnswer& answer);

// The resolver of a location, or null if it has none.
Resolver* FindResolver(Runtime& runtime, const conf::Location& location);
Resolver* FindResolver(Runtime& runtime, const conf::Resolver* conf);

// proxy_bind. False if its value is no address (logged).
bool ChooseBindAddress(Exchange& exchange, const conf::ProxySettings& proxy, SocketAddress* address,
                       ConnectOptions* options);

}  // namespace limpet::worker
