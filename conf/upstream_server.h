// The `server` line of an upstream, and upstreams that a proxy_pass names without a block.
#pragma once

#include "conf/directive.h"
#include "conf/host_port.h"

namespace limpet::conf {

Result<UpstreamServer> ParseUpstreamServer(Block& block, const Directive& directive);

// The index of the upstream that a proxy_pass address names: a block, or one made for the address
// (resolved now).
Result<int> FindOrMakeUpstream(Block& block, const Directive& directive, const HostPort& address);

}  // namespace limpet::conf
