// The status of a server's certificates by OCSP, sent along with the handshake to clients that ask
// for it (ssl_stapling; RFC 6066 8). Responses come from a file, or later, in each worker, from the
// responder.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "worker/tls/ocsp_subject.h"

struct ssl_ctx_st;
struct ssl_st;

namespace limpet::worker {

class PemFiles;

class Staple {
 public:
  // A whole response (DER), for every certificate.
  Status Load(const std::string& file, PemFiles& files);
  // One certificate whose status is to be asked for.
  void Ask(std::unique_ptr<const OcspSubject> subject);
  // Makes the context send what there is; it must outlive the context's handshakes.
  void Install(ssl_ctx_st* context);

  size_t size() const { return asked_.size(); }
  const OcspSubject& subject(size_t i) const { return *asked_[i].subject; }
  void Set(size_t i, std::string response) { asked_[i].response = std::move(response); }

 private:
  struct Asked {
    std::unique_ptr<const OcspSubject> subject;
    std::string response;  // "": none yet
  };
  static int OnStatusWanted(ssl_st* ssl, void* self) noexcept;
  const std::string& ResponseFor(const X509* certificate) const;

  std::string from_file_;
  std::vector<Asked> asked_;
};

}  // namespace limpet::worker
