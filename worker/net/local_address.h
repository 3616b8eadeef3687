// The address at this end of a connection.
#pragma once

#include <memory>

#include "base/socket_address.h"

namespace limpet::worker {

// Null: the descriptor is closed, or no socket.
std::unique_ptr<SocketAddress> LocalAddressOf(int fd);

}  // namespace limpet::worker
