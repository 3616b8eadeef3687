// The status of a server's certificates by OCSP, sent along with the handshake to clients that ask
// for it (ssl_stapling; RFC 6066 8). Responses come from a file, or later, in each worker, from the
// responder.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
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
  // It is sent for as long as it is valid (wall time in seconds).
  void Set(size_t i, std::string response, int64_t valid_until_s) {
    asked_[i].response = std::move(response);
    asked_[i].valid_until_s = valid_until_s;
  }

 private:
  struct Asked {
    std::unique_ptr<const OcspSubject> subject;
    std::string response{};  // "": none yet
    int64_t valid_until_s = 0;
  };
  static int OnStatusWanted(ssl_st* ssl, void* self) noexcept;
  std::string_view ResponseFor(const X509* certificate) const;

  std::string from_file_;
  std::vector<Asked> asked_;
};

}  // namespace limpet::worker
