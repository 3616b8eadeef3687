// The `server` line of an upstream, and upstreams that a proxy_pass names without a block.
#pragma once

#include "conf/directive.h"
#include "conf/host_port.h"

namespace limpet::conf {

Result<UpstreamServer> ParseUpstreamServer(Block& block, const Directive& directive);

// The addresses of a server, looked up now if it is a name (blocking).
Result<std::vector<SocketAddress>> FindAddresses(const HostPort& address);

// The index of the upstream that a proxy_pass address names: a block, or one made for the address
// (resolved now).
Result<int> FindOrMakeUpstream(Block& block, const Directive& directive, const HostPort& address);

// The resolver of an upstream that has none of its own, or not all of it, is that of http (null: it
// has none). Called when all of the http block is read: either may stand first.
Status InheritResolvers(Http& http, const std::shared_ptr<const Resolver>& of_http);
inline constexpr Ms kInheritedTimeout = Ms::max();  // in a resolver until then

}  // namespace limpet::conf
