#include "worker/tls_store.h"

#include "worker/tls/pem_files.h"

namespace limpet::worker {
namespace {

Status AddServer(const conf::Server& server, PemFiles& files, ServerTlsContexts* contexts) {
  if (contexts->contains(&server)) return {};
  if (server.tls.certificates.empty() && !server.tls.reject_handshake) return {};
  auto context = TlsContext::ForServer(server.tls, files);
  if (!context) return context.error();
  contexts->emplace(&server, std::move(*context));
  return {};
}

}  // namespace

Result<std::shared_ptr<const TlsStore>> TlsStore::Load(const conf::Config& config) {
  auto store = std::make_shared<TlsStore>();
  if (config.http == nullptr) return std::shared_ptr<const TlsStore>(std::move(store));
  PemFiles files;
  for (const conf::ListenGroup& group : config.http->listens) {
    if (!group.listen.ssl) continue;
    for (const conf::Server* server : group.servers) {
      if (Status status = AddServer(*server, files, &store->servers); !status)
        return status.error();
    }
  }
  auto clients = TlsClientContexts::Load(*config.http, files);
  if (!clients) return clients.error();
  store->clients = std::move(*clients);
  return std::shared_ptr<const TlsStore>(std::move(store));
}

}  // namespace limpet::worker
