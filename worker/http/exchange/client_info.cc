#include "worker/http/exchange/client_info.h"

#include "worker/net/local_address.h"
#include "worker/net/transport.h"

namespace limpet::worker {

const SocketAddress& ClientInfo::local() const {
  const SocketAddress& listening = listen->listen.address;
  if (!listening.is_wildcard() || transport == nullptr) return listening;
  if (asked_local_ == nullptr) asked_local_ = LocalAddressOf(transport->fd());
  return asked_local_ != nullptr ? *asked_local_ : listening;
}

}  // namespace limpet::worker
