#include "worker/http/exchange/client_info.h"

#include "worker/net/transport.h"

namespace limpet::worker {

std::unique_ptr<SocketAddress> LocalAddressOf(int fd) {
  auto local = std::make_unique<SocketAddress>();
  socklen_t size = local->capacity();
  if (::getsockname(fd, local->get(), &size) != 0) return nullptr;
  local->set_size(size);
  return local;
}

const SocketAddress& ClientInfo::local() const {
  const SocketAddress& listening = listen->listen.address;
  if (!listening.is_wildcard() || transport == nullptr) return listening;
  if (asked_local_ == nullptr) asked_local_ = LocalAddressOf(transport->fd());
  return asked_local_ != nullptr ? *asked_local_ : listening;
}

}  // namespace limpet::worker
