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
#include "worker/tls/ticket_keys.h"

struct ssl_ctx_st;
struct ssl_st;

namespace limpet::worker {

class PemFiles;
class TlsContext;

// Chooses among the servers of a listen by the name the client asks for (SNI).
class SniSelector {
 public:
  // `name` is empty if the client sent none. Null: refuse the handshake (unrecognized_name).
  virtual const TlsContext* ChooseTls(std::string_view name) = 0;

 protected:
  ~SniSelector() = default;
};

class TlsContext {
 public:
  // Reads certificates and keys. Errors have nginx's wording (`cannot load certificate "F": …`).
  // `offer_http2`: ALPN offers h2 before http/1.1.
  static Result<std::unique_ptr<TlsContext>> ForServer(const conf::TlsSettings& settings,
                                                       PemFiles& files, bool offer_http2 = false);
  static Result<std::unique_ptr<TlsContext>> ForUpstream(const conf::TlsClientSettings& settings,
                                                         PemFiles& files);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  ssl_ctx_st* get() const { return context_; }  // for worker/tls only
  size_t record_size() const { return record_size_; }
  bool rejects() const { return rejects_; }
  bool verifies() const { return verifies_; }  // of ForUpstream: the peer's certificate and name

 private:
  TlsContext() = default;
  Status Configure(const conf::TlsSettings& settings, PemFiles& files);
  Status ConfigureKeyExchange(const conf::TlsSettings& settings, PemFiles& files);
  Status ConfigureSessions(const conf::TlsSettings& settings, PemFiles& files);
  Status LoadCertificates(const conf::TlsSettings& settings, PemFiles& files);
  Status AskForCertificates(const conf::TlsSettings& settings, PemFiles& files);
  Status ConfigureClient(const conf::TlsClientSettings& settings, PemFiles& files);

  TicketKeys ticket_keys_;
  ssl_ctx_st* context_ = nullptr;
  size_t record_size_ = 16384;
  bool rejects_ = false;
  bool offer_http2_ = false;
  bool verifies_ = false;
};

}  // namespace limpet::worker
