#include "worker/tls_contexts.h"

namespace limpet::worker {

TlsChoice TlsListen::ChooseTls(std::string_view name) {
  const ServerNames::Match match = names_.FindForTls(name);
  if (!match.failure.empty()) {
    LIMPET_LOG(log_, LogLevel::kAlert, "{} while SSL handshaking", match.failure);
    return {};
  }
  const auto it = contexts_.find(match.server);
  return {it != contexts_.end() ? it->second.get() : &default_context_,
          group_.SpeaksHttp2(*match.server)};
}

TlsContexts::TlsContexts(const Runtime& runtime, const ServerTlsContexts& contexts) {
  for (size_t i = 0; i < runtime.http.listens.size(); ++i) {
    const conf::ListenGroup& group = runtime.http.listens[i];
    const auto it = contexts.find(group.default_server);
    if (!group.listen.ssl || it == contexts.end()) continue;
    listens_.emplace(&group, std::make_unique<TlsListen>(group, *runtime.names[i], *it->second,
                                                         contexts, runtime.logs[0]));
  }
}

TlsListen* TlsContexts::For(const conf::ListenGroup& group) {
  const auto it = listens_.find(&group);
  return it == listens_.end() ? nullptr : it->second.get();
}

}  // namespace limpet::worker
