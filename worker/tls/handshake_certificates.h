// Certificates and keys whose names have variables: read when a connection needs them, with the
// worker's rights, and kept as ssl_certificate_cache says. One per worker; from its loop only.
// Reading a file blocks the loop: that is the price of these names, also in nginx.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/result.h"
#include "conf/tls_certificate.h"
#include "worker/tls/pem_files.h"
#include "worker/tls/tls_object.h"

namespace limpet::worker {

class HandshakeCertificates {
 public:
  // Relative names are taken from `folder`, which ends in /.
  explicit HandshakeCertificates(std::string folder) : folder_(std::move(folder)) {}

  struct Names {
    std::string_view certificate;
    std::string_view key;
    const conf::TlsCertificateCache* cache = nullptr;  // null: nothing is kept
    const TlsPasswords* passwords = nullptr;           // null: none
  };
  // The key is the certificate's. Errors have nginx's wording.
  Result<TlsPair> Get(const Names& names);

 private:
  using Key = std::pair<TlsObjectKind, std::string>;
  struct Kept {
    Key key;
    TlsObjectPtr object;
    FileStamp stamp;
    int64_t looked_s = 0;  // when it was read, or found unchanged
    int64_t used_s = 0;
  };
  // Always: `order` has each entry of `places` once, the last used first.
  struct Cache {
    std::list<Kept> order;
    std::map<Key, std::list<Kept>::iterator> places;
  };
  enum class Trust : bool { kCached, kFresh };

  Result<TlsPair> GetPair(const Names& names, Trust trust);
  Result<TlsObjectPtr> GetObject(TlsObjectKind kind, std::string_view name, const Names& names,
                                 Trust trust);
  static TlsObjectPtr FindValid(Cache& cache, const conf::TlsCertificateCache& limits,
                                const Key& key);
  static void Forget(Cache& cache, const Key& key);
  static void Keep(Cache& cache, const conf::TlsCertificateCache& limits, Kept kept);
  std::string FullName(TlsObjectKind kind, std::string_view name) const;

  std::string folder_;
  std::unordered_map<const conf::TlsCertificateCache*, Cache> caches_;
};

}  // namespace limpet::worker
