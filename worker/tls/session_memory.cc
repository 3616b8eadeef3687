#include "worker/tls/session_memory.h"

#include "worker/tls/openssl.h"

namespace limpet::worker {

TlsSessionMemory::~TlsSessionMemory() {
  for (const Entry& entry : entries_) SSL_SESSION_free(entry.session);
}

void TlsSessionMemory::Keep(std::string_view scope, ssl_session_st* session) {
  Forget(scope);
  entries_.push_back({std::string(scope), session});
  by_scope_.emplace(entries_.back().scope, std::prev(entries_.end()));
  if (entries_.size() > most_) Drop(entries_.begin());
}

ssl_session_st* TlsSessionMemory::Find(std::string_view scope) {
  const auto it = by_scope_.find(scope);
  if (it == by_scope_.end()) return nullptr;
  entries_.splice(entries_.end(), entries_, it->second);
  return it->second->session;
}

void TlsSessionMemory::Forget(std::string_view scope) {
  if (const auto it = by_scope_.find(scope); it != by_scope_.end()) Drop(it->second);
}

void TlsSessionMemory::Drop(Entries::iterator entry) {
  by_scope_.erase(entry->scope);
  SSL_SESSION_free(entry->session);
  entries_.erase(entry);
}

}  // namespace limpet::worker
