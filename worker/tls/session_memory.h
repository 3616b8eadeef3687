// The last TLS session of each scope, for resumption; one per worker. A scope is all that a session
// may be resumed for: address, context and name of a server (a resumed one is not verified again).
// Clients may choose the names, so there are at most `most`: beyond that the one goes that was used
// longest ago. Each call is O(1).
#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

struct ssl_session_st;

namespace limpet::worker {

class TlsSessionMemory {
 public:
  static constexpr size_t kMost = 1000;  // some 2 KB each

  TlsSessionMemory() : TlsSessionMemory(kMost) {}
  explicit TlsSessionMemory(size_t most) : most_(most) {}
  ~TlsSessionMemory();
  TlsSessionMemory(const TlsSessionMemory&) = delete;
  TlsSessionMemory& operator=(const TlsSessionMemory&) = delete;

  void Keep(std::string_view scope, ssl_session_st* session);  // takes it over
  ssl_session_st* Find(std::string_view scope);                // null: none
  void Forget(std::string_view scope);
  size_t size() const { return by_scope_.size(); }

 private:
  struct Entry {
    std::string scope;
    ssl_session_st* session;
  };
  using Entries = std::list<Entry>;
  void Drop(Entries::iterator entry);

  const size_t most_;
  Entries entries_;  // the one used longest ago first
  std::unordered_map<std::string_view, Entries::iterator> by_scope_;  // views of the entries
};

}  // namespace limpet::worker
