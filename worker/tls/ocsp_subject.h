// One of our certificates, whose status a responder is asked for (OCSP, RFC 6960): the question,
// and what an answer is worth. Immutable, made in the master; no I/O but the look-up of a name.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/socket_address.h"
#include "worker/tls/tls_object.h"

struct ssl_ctx_st;

namespace limpet::worker {

class OcspSubject {
 public:
  struct Options {
    std::string name;       // of the certificate, for the log
    std::string responder;  // its URL; "": the one that the certificate names
    bool verify = false;    // the answer's signature, with the context's CAs
  };
  // `context` has the chain and the CAs, and outlives this. An error says why nothing can be asked,
  // in nginx's words that follow `"ssl_stapling" ignored, `.
  static Result<std::unique_ptr<const OcspSubject>> Make(TlsObjectPtr chain, ssl_ctx_st* context,
                                                         Options options);

  const X509* certificate() const { return chain_->certificates.front().get(); }
  const std::string& name() const { return options_.name; }
  const std::string& host() const { return host_; }
  uint16_t port() const { return port_; }
  const std::vector<SocketAddress>& addresses() const { return addresses_; }  // at load
  std::string Request() const;  // in HTTP/1.0: the response ends with the connection

  struct Answer {
    std::string bad;            // what is wrong with it; "": it may be sent to clients
    int64_t valid_until_s = 0;  // wall time; INT64_MAX: it does not say
    size_t size = 0;            // in bytes; nobody has signed what follows
  };
  Answer Judge(std::string_view response) const;

 private:
  OcspSubject() = default;
  Status FindIssuer();
  Status FindResponder();
  std::string Examine(std::string_view response, Answer* answer) const;

  TlsObjectPtr chain_;
  SSL_CTX* context_ = nullptr;
  Options options_;
  X509Ptr issuer_;
  std::string host_, uri_;
  uint16_t port_ = 80;
  std::vector<SocketAddress> addresses_;
};

}  // namespace limpet::worker
