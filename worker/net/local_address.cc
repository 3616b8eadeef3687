#include "worker/net/local_address.h"

namespace limpet::worker {

std::unique_ptr<SocketAddress> LocalAddressOf(int fd) {
  auto local = std::make_unique<SocketAddress>();
  socklen_t size = local->capacity();
  if (::getsockname(fd, local->get(), &size) != 0) return nullptr;
  local->set_size(size);
  return local;
}

}  // namespace limpet::worker
