#include "worker/tls_store.h"

#include <algorithm>

#include "conf/place.h"

namespace limpet::worker {
namespace {

Status AddServer(const conf::Config& config, const conf::Server& server, PemFiles& files,
                 ServerTlsContexts* contexts) {
  if (contexts->contains(&server)) return {};
  if (server.tls.certificates.empty() && !server.tls.reject_handshake) return {};
  auto context = TlsContext::ForServer(server.tls, files);
  if (!context) return conf::WithServersPlace(config, server, context.error());
  contexts->emplace(&server, std::move(*context));
  return {};
}

}  // namespace

Result<std::shared_ptr<const TlsStore>> TlsStore::Load(const conf::Config& config,
                                                       const TlsStore* before) {
  auto store = std::make_shared<TlsStore>();
  if (config.http == nullptr) return std::shared_ptr<const TlsStore>(std::move(store));
  PemFiles files(before != nullptr ? before->objects : nullptr);
  // Of every server, also where no key needs one: what cannot be read is an error, as in nginx.
  for (const auto& server : config.http->servers) {
    if (server->tls.password_file.empty()) continue;
    if (const auto text = files.Read(server->tls.password_file); !text) return text.error();
  }
  for (const conf::ListenGroup& group : config.http->listens) {
    if (!group.listen.ssl) continue;
    for (const conf::Server* server : group.servers) {
      if (Status status = AddServer(config, *server, files, &store->servers); !status)
        return status.error();
      const std::string name = server->names.empty() ? "" : server->names.front().source;
      AddCertificateEnds(server->tls, name, files, &store->certificates);
    }
  }
  std::ranges::sort(store->certificates, {}, &CertificateEnd::not_after_s);
  auto clients = TlsClientContexts::Load(config, files);
  if (!clients) return clients.error();
  store->clients = std::move(*clients);
  for (const std::string& warning : files.warnings())
    store->warnings.push_back(conf::WithPlace(config, InvalidArgument(warning)).message);
  if (config.tls_objects_inheritable) store->objects = files.book();
  return std::shared_ptr<const TlsStore>(std::move(store));
}

Status TlsStore::ShareSessions(const std::vector<shm::TlsSessionTable*>& tables) const {
  for (const auto& [server, context] : servers) {
    if (server->tls.session_zone < 0) continue;
    Status status = context->ShareSessions(tables[static_cast<size_t>(server->tls.session_zone)]);
    if (!status) return status;
  }
  return {};
}

}  // namespace limpet::worker
