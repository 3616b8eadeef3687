// All certificates, keys and TLS settings of a generation. The master loads it, because workers
// have no right to read keys any more; they inherit it by fork, and with it the keys of session
// tickets, so that a ticket of one worker is good for all.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "conf/config.h"
#include "worker/tls/certificate_end.h"
#include "worker/tls/client_contexts.h"
#include "worker/tls/pem_files.h"
#include "worker/tls/tls_context.h"

namespace limpet::worker {

using ServerTlsContexts = std::unordered_map<const conf::Server*, std::unique_ptr<TlsContext>>;

struct TlsStore {
  // `before`: of the generation before this one, whose unchanged objects are taken over; may be
  // null.
  static Result<std::shared_ptr<const TlsStore>> Load(const conf::Config& config,
                                                      const TlsStore* before);

  // Once, before any worker is made: shared session caches are in these (to
  // conf::Http::tls_session_zones).
  Status ShareSessions(const std::vector<shm::TlsSessionTable*>& tables) const;

  ServerTlsContexts servers;  // that listen with `ssl` and have a certificate or refuse handshakes
  std::unique_ptr<TlsClientContexts> clients;
  std::vector<CertificateEnd> certificates;  // what ends first comes first
  std::vector<std::string> warnings;
  std::shared_ptr<const TlsObjectBook> objects;  // null: they are not to be taken over
};

}  // namespace limpet::worker
