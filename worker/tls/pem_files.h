// Certificates, keys and revocation lists that a configuration names. Errors have nginx's wording.
#pragma once

#include <sys/types.h>

#include <ctime>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "conf/tls_certificate.h"
#include "worker/tls/tls_object.h"

struct ssl_ctx_st;

namespace limpet::worker {

// What a file was when it was read: it has changed if this has.
struct FileStamp {
  dev_t device = 0;
  ino_t inode = 0;
  time_t changed_s = 0;  // of its content; whole seconds, as nginx looks at them

  static FileStamp Of(const std::string& path);  // all 0: there is none
  bool exists() const { return inode != 0; }
  bool operator==(const FileStamp&) const = default;
};

// Whether a name stands for a file, not for the object itself or for where OpenSSL finds it.
bool IsFile(TlsObjectKind kind, std::string_view name);

// All objects of one load, for the next one (ssl_object_cache_inheritable). No encrypted keys.
struct TlsObjectBook {
  struct Entry {
    FileStamp stamp;
    TlsObjectPtr object;
  };
  std::map<std::pair<TlsObjectKind, std::string>, Entry> entries;
};

// The files of one load: each is read once however many servers name it, so that all see the same
// content (and a file may be a pipe). What was read is wiped at the end: keys are among it.
class PemFiles {
 public:
  // What has not changed since `before` is not read again; null: all is.
  explicit PemFiles(std::shared_ptr<const TlsObjectBook> before = nullptr);
  PemFiles(const PemFiles&) = delete;
  PemFiles& operator=(const PemFiles&) = delete;

  Result<std::string_view> Read(const std::string& file);  // valid as long as this object

  // By its name (conf/tls_certificate.h), a path being absolute; anew each time. The error says
  // what was wrong, not with what.
  Result<TlsObjectPtr> Load(TlsObjectKind kind, const std::string& name,
                            const TlsPasswords& passwords);
  // The same once for all who name it. `password_file`: of keys; "": none.
  Result<TlsObjectPtr> Get(TlsObjectKind kind, const std::string& name,
                           const std::string& password_file = {});

  // A certificate and its key. What the key does not fit may have been inherited from two states of
  // the files: both are read again once.
  struct PairNames {
    std::string certificate, key, password_file;
  };
  Status UsePair(ssl_ctx_st* context, const PairNames& names);
  // CAs that peers' certificates are verified with. `named`: clients are told their names.
  Status UseTrusted(ssl_ctx_st* context, const std::string& file, bool named);
  Status UseRevoked(ssl_ctx_st* context, const std::string& file);
  Status UseDhParameters(ssl_ctx_st* context, const std::string& file);

  std::shared_ptr<const TlsObjectBook> book() const { return book_; }
  void Warn(std::string text) { warnings_.push_back(std::move(text)); }  // the load goes on
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  Result<TlsPair> GetPair(const PairNames& names);
  const TlsObjectPtr* FindUnchanged(TlsObjectKind kind, const std::string& name,
                                    const FileStamp& stamp) const;
  Result<TlsPasswords> Passwords(const std::string& file);

  std::map<std::string, Secret> contents_;  // by file
  std::vector<std::string> warnings_;
  std::shared_ptr<const TlsObjectBook> before_;
  std::shared_ptr<TlsObjectBook> book_ = std::make_shared<TlsObjectBook>();
};

}  // namespace limpet::worker
