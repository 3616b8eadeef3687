// Certificates, keys and revocation lists out of PEM files. Errors have nginx's wording.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

struct ssl_ctx_st;

namespace limpet::worker {

// The files of one load: each is read once however many servers name it, so that all see the same
// content (and a file may be a pipe). What was read is wiped at the end: keys are among it.
class PemFiles {
 public:
  PemFiles() = default;
  ~PemFiles();
  PemFiles(const PemFiles&) = delete;
  PemFiles& operator=(const PemFiles&) = delete;

  Result<std::string_view> Read(const std::string& file);  // valid as long as this object

  // A leaf with the chain that follows it in the file.
  Status UseChain(ssl_ctx_st* context, const std::string& file);
  // `password_file` holds a password a line, each is tried; "" if the key is not encrypted.
  Status UseKey(ssl_ctx_st* context, const std::string& file, const std::string& password_file);
  // CAs that peers' certificates are verified with. `named`: clients are told their names.
  Status UseTrusted(ssl_ctx_st* context, const std::string& file, bool named);
  Status UseRevoked(ssl_ctx_st* context, const std::string& file);
  Status UseDhParameters(ssl_ctx_st* context, const std::string& file);

 private:
  std::map<std::string, std::string> contents_;
};

}  // namespace limpet::worker
