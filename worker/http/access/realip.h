// Which address a chain of proxies stands for. Pure but for the step.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "base/socket_address.h"
#include "conf/access.h"
#include "proto/headers.h"
#include "worker/http/exchange/step.h"

namespace limpet::worker {

// `values`: the field's lines in order, each a list of addresses, the nearest one last. The last
// address that a trusted peer vouches for; with `recursive` the walk goes on while the address
// found is itself trusted. Nothing if `peer` is not trusted or tells nothing readable.
std::optional<SocketAddress> ForwardedAddress(const conf::RealIp& settings,
                                              const SocketAddress& peer,
                                              std::span<const std::string_view> values);

// The same from all lines of X-Forwarded-For.
std::optional<SocketAddress> ForwardedFor(const proto::HeaderList& fields,
                                          const conf::RealIp& settings, const SocketAddress& peer);

// After the server is known, and again after the location is.
Step RealIpStep(Exchange& exchange);

}  // namespace limpet::worker
