#include "worker/tls/openssl.h"

#include <openssl/err.h>

namespace limpet::worker {

std::string TakeErrors() {
  std::string text;
  char line[256];
  const char* detail = nullptr;
  int flags = 0;
  while (const unsigned long code = ERR_get_error_all(nullptr, nullptr, nullptr, &detail, &flags)) {
    ERR_error_string_n(code, line, sizeof line);
    if (!text.empty()) text += ' ';
    text += line;
    if ((flags & ERR_TXT_STRING) != 0 && *detail != '\0') text.append(":").append(detail);
  }
  return text;
}

Error TlsError(std::string what) {
  const std::string errors = TakeErrors();
  if (!errors.empty()) what += " (SSL: " + errors + ")";
  return InvalidArgument(std::move(what));
}

}  // namespace limpet::worker
