#include "worker/tls/openssl.h"

#include <openssl/err.h>

namespace limpet::worker {

std::string TakeErrors() {
  std::string text;
  char line[256];
  while (const unsigned long code = ERR_get_error()) {
    ERR_error_string_n(code, line, sizeof line);
    if (!text.empty()) text += ' ';
    text += line;
  }
  return text;
}

Error TlsError(std::string what) {
  what += " (SSL: " + TakeErrors() + ")";
  return InvalidArgument(std::move(what));
}

}  // namespace limpet::worker
