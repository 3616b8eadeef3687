// Reads certificates, keys and revocation lists from PEM files into a context. For worker/tls only.
// Errors have nginx's wording.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "worker/tls/openssl.h"

namespace limpet::worker {

// A leaf with the chain that follows it in the file.
Status UseChain(SSL_CTX* context, const std::string& file);
// `password_file` holds a password a line, each is tried; "" if the key is not encrypted.
Status UseKey(SSL_CTX* context, const std::string& file, const std::string& password_file);
// CAs that peers' certificates are verified with. `named`: clients are told their names.
Status UseTrusted(SSL_CTX* context, const std::string& file, bool named);
Status UseRevoked(SSL_CTX* context, const std::string& file);
Status ApplyCommands(SSL_CTX* context,
                     const std::vector<std::pair<std::string, std::string>>& commands);

}  // namespace limpet::worker
