// Which address a chain of proxies stands for. Pure.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "base/socket_address.h"
#include "conf/access.h"

namespace limpet::worker {

// `values`: the field's lines in order, each a list of addresses, the nearest one last. The last
// address that a trusted peer vouches for; with `recursive` the walk goes on while the address
// found is itself trusted. Nothing if `peer` is not trusted or tells nothing readable.
std::optional<SocketAddress> ForwardedAddress(const conf::RealIp& settings,
                                              const SocketAddress& peer,
                                              std::span<const std::string_view> values);

}  // namespace limpet::worker
