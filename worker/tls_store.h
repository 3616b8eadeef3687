// All certificates, keys and TLS settings of a generation. The master loads it, because workers
// have no right to read keys any more; they inherit it by fork, and with it the keys of session
// tickets, so that a ticket of one worker is good for all.
#pragma once

#include <memory>
#include <unordered_map>

#include "base/result.h"
#include "conf/config.h"
#include "worker/tls/client_contexts.h"
#include "worker/tls/tls_context.h"

namespace limpet::worker {

using ServerTlsContexts = std::unordered_map<const conf::Server*, std::unique_ptr<TlsContext>>;

struct TlsStore {
  static Result<std::shared_ptr<const TlsStore>> Load(const conf::Config& config);

  ServerTlsContexts servers;  // that listen with `ssl` and have a certificate or refuse handshakes
  std::unique_ptr<TlsClientContexts> clients;
};

}  // namespace limpet::worker
