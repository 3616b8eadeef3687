// Certificates, keys and TLS settings of one server, or of what we are towards upstreams, as a
// generation reads them. Immutable once made; lives as long as its generation (each connection
// holds a count on the OpenSSL object, so late ones stay valid).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "conf/listen.h"
#include "conf/upstream_tls.h"
#include "worker/tls/staple.h"
#include "worker/tls/ticket_keys.h"
#include "worker/tls/tls_object.h"

struct ssl_ctx_st;
struct ssl_st;

namespace limpet::shm {
class TlsSessionTable;
}

namespace limpet::worker {

class PemFiles;
class TlsContext;

// What a handshake goes on with.
struct TlsChoice {
  const TlsContext* context = nullptr;  // null: refuse the handshake (unrecognized_name)
  bool offers_http2 = false;            // ALPN has h2 before http/1.1
};

// Chooses among the servers of a listen by the name the client asks for (SNI).
class SniSelector {
 public:
  // `name` is empty if the client sent none.
  virtual TlsChoice ChooseTls(std::string_view name) = 0;

 protected:
  ~SniSelector() = default;
};

class TlsContext {
 public:
  // Reads certificates and keys. Errors have nginx's wording (`cannot load certificate "F": …`).
  static Result<std::unique_ptr<TlsContext>> ForServer(const conf::TlsSettings& settings,
                                                       PemFiles& files);
  static Result<std::unique_ptr<TlsContext>> ForUpstream(const conf::TlsClientSettings& settings,
                                                         PemFiles& files);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // Of ForServer with a shared session cache, before the first connection: its sessions and the
  // keys of its tickets are in this memory, which outlives it.
  Status ShareSessions(shm::TlsSessionTable* table);

  Staple& staple() { return staple_; }

  ssl_ctx_st* get() const { return context_; }  // for worker/tls only
  size_t record_size() const { return record_size_; }
  bool rejects() const { return rejects_; }
  // Of ForServer, if certificates are to be given to each connection (certificates_vary); else
  // null.
  const conf::TlsSettings* varying() const { return varying_; }
  const TlsPasswords& passwords() const { return passwords_; }  // of keys that are read later
  bool verifies() const { return verifies_; }  // of ForUpstream: the peer's certificate and name

 private:
  TlsContext() = default;
  Status Configure(const conf::TlsSettings& settings, PemFiles& files);
  Status ConfigureKeyExchange(const conf::TlsSettings& settings, PemFiles& files);
  Status ScopeSessions(const conf::TlsSettings& settings, PemFiles& files);
  Status ConfigureSessions(const conf::TlsSettings& settings, PemFiles& files);
  Status LoadCertificates(const conf::TlsSettings& settings, PemFiles& files);
  Status AskForCertificates(const conf::TlsSettings& settings, PemFiles& files);
  Status ConfigureClient(const conf::TlsClientSettings& settings, PemFiles& files);

  Status ConfigureStaple(const conf::TlsSettings& settings, PemFiles& files);
  Status LoadPasswords(const std::string& file, PemFiles& files);

  TicketKeys ticket_keys_;
  Staple staple_;
  TlsPasswords passwords_;
  const conf::TlsSettings* varying_ = nullptr;
  ssl_ctx_st* context_ = nullptr;
  size_t record_size_ = 16384;
  bool rejects_ = false;
  bool verifies_ = false;
};

}  // namespace limpet::worker
