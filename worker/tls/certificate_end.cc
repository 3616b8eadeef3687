#include "worker/tls/certificate_end.h"

#include <algorithm>

#include "worker/tls/openssl.h"
#include "worker/tls/pem_files.h"

namespace limpet::worker {
namespace {

int64_t EndOf(const TlsObject& chain) {
  int64_t end = INT64_MAX;
  for (const X509Ptr& certificate : chain.certificates) {
    if (const auto time = SecondsSince1970(X509_get0_notAfter(certificate.get())))
      end = std::min(end, *time);
  }
  return end;
}

}  // namespace

void AddCertificateEnds(const conf::TlsSettings& settings, const std::string& server,
                        PemFiles& files, std::vector<CertificateEnd>* ends) {
  if (settings.certificates_vary()) return;
  for (const conf::Template& name : settings.certificates) {
    const std::string file(name.source());
    if (!IsFile(TlsObjectKind::kChain, file)) continue;  // the certificate itself: it has no name
    if (std::ranges::find(*ends, file, &CertificateEnd::file) != ends->end()) continue;
    const auto chain = files.Get(TlsObjectKind::kChain, file);
    const int64_t end = chain ? EndOf(**chain) : INT64_MAX;
    if (end != INT64_MAX) ends->push_back({.file = file, .server = server, .not_after_s = end});
  }
}

}  // namespace limpet::worker
