#include "worker/tls_contexts.h"

namespace limpet::worker {

const TlsContext* TlsListen::ChooseTls(std::string_view name) {
  if (name.empty()) return &default_context_;
  conf::Captures captures;
  const auto it = contexts_.find(names_.Find(name, &captures).server);
  return it != contexts_.end() ? it->second.get() : &default_context_;
}

TlsContexts::TlsContexts(const Runtime& runtime, const Log& log) {
  for (size_t i = 0; i < runtime.http.listens.size(); ++i) {
    const conf::ListenGroup& group = runtime.http.listens[i];
    if (!group.listen.ssl) continue;
    for (const conf::Server* server : group.servers) {
      if (contexts_.contains(server) || (server->tls.certificates.empty() && !server->tls.reject_handshake)) continue;
      auto context = TlsContext::ForServer(server->tls);
      if (!context) {
        LIMPET_LOG(log, LogLevel::kEmerg, "{}", context.error().message);
        continue;
      }
      contexts_.emplace(server, std::move(*context));
    }
    const auto it = contexts_.find(group.default_server);
    if (it != contexts_.end()) {
      listens_.emplace(&group, std::make_unique<TlsListen>(*runtime.names[i], *it->second, contexts_));
    }
  }
}

TlsListen* TlsContexts::For(const conf::ListenGroup& group) {
  const auto it = listens_.find(&group);
  return it == listens_.end() ? nullptr : it->second.get();
}

}  // namespace limpet::worker
