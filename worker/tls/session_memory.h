// The last TLS session with each peer, for resumption; one per worker. A session is given out only
// for the scope (context and name) it was made in: a resumed one is not verified again.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

struct ssl_session_st;

namespace limpet::worker {

class TlsSessionMemory {
 public:
  TlsSessionMemory() = default;
  ~TlsSessionMemory();
  TlsSessionMemory(const TlsSessionMemory&) = delete;
  TlsSessionMemory& operator=(const TlsSessionMemory&) = delete;

  void Keep(const void* peer, std::string_view scope, ssl_session_st* session);  // takes it over
  ssl_session_st* Find(const void* peer, std::string_view scope) const;          // null: none
  void Forget(const void* peer);

 private:
  struct Entry {
    std::string scope;
    ssl_session_st* session = nullptr;
  };
  std::unordered_map<const void*, Entry> entries_;
};

}  // namespace limpet::worker
