#include "worker/tls/session_memory.h"

#include "worker/tls/openssl.h"

namespace limpet::worker {

TlsSessionMemory::~TlsSessionMemory() {
  for (const auto& [peer, entry] : entries_) SSL_SESSION_free(entry.session);
}

void TlsSessionMemory::Keep(const void* peer, std::string_view scope, ssl_session_st* session) {
  Entry& entry = entries_[peer];
  SSL_SESSION_free(entry.session);
  entry.scope = scope;
  entry.session = session;
}

ssl_session_st* TlsSessionMemory::Find(const void* peer, std::string_view scope) const {
  const auto it = entries_.find(peer);
  return it != entries_.end() && it->second.scope == scope ? it->second.session : nullptr;
}

void TlsSessionMemory::Forget(const void* peer) {
  const auto it = entries_.find(peer);
  if (it == entries_.end()) return;
  SSL_SESSION_free(it->second.session);
  entries_.erase(it);
}

}  // namespace limpet::worker
