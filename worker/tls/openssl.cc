#include "worker/tls/openssl.h"

#include <openssl/err.h>

#include <ctime>

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

std::optional<int64_t> SecondsSince1970(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  return ::timegm(&parts);
}

Error TlsError(std::string what) {
  const std::string errors = TakeErrors();
  if (!errors.empty()) what += " (SSL: " + errors + ")";
  return InvalidArgument(std::move(what));
}

}  // namespace limpet::worker
