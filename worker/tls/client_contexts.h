// What we are towards upstreams: one TLS context for each set of proxy_ssl_* settings. A generation
// makes them in the master, where keys may be read; workers inherit them.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "conf/config.h"
#include "worker/tls/tls_context.h"

namespace limpet::worker {

class TlsClientContexts {
 public:
  // Of all locations that may speak TLS to upstreams, and of session stores.
  static Result<std::unique_ptr<TlsClientContexts>> Load(const conf::Config& config,
                                                         PemFiles& files);

  // Null: the location has none.
  const TlsContext* For(const conf::Location& location) const;
  const TlsContext* For(const conf::SessionStore& store) const;
  // Of an existing context, for keys: stable within the process.
  int NumberOf(const TlsContext& context) const;

 private:
  struct Entry {
    conf::TlsClientSettings settings;
    std::unique_ptr<TlsContext> context;
  };
  Status Add(const conf::Location& location, PemFiles& files);
  Status Add(const conf::TlsClientSettings& settings, PemFiles& files);
  const Entry* Find(const conf::TlsClientSettings& settings) const;

  std::vector<Entry> entries_;
};

}  // namespace limpet::worker
