#include "proto/http1/message.h"

#include <array>

#include "base/text.h"

namespace limpet::proto {
namespace {

constexpr std::array<std::string_view, static_cast<size_t>(Method::kOther) + 1> kMethods = {
    "GET",   "HEAD", "POST", "PUT",      "DELETE",    "OPTIONS", "CONNECT", "TRACE", "PATCH",
    "MKCOL", "COPY", "MOVE", "PROPFIND", "PROPPATCH", "LOCK",    "UNLOCK",  ""};

}  // namespace

Method LookupMethod(std::string_view name) {
  for (size_t i = 0; i < kMethods.size() - 1; ++i) {
    if (kMethods[i] == name) return static_cast<Method>(i);
  }
  return Method::kOther;
}

std::string_view Name(Method method) { return kMethods[static_cast<size_t>(method)]; }

ConnectionOptions ReadConnection(const HeaderList& headers) {
  ConnectionOptions options;
  if (!headers.Has(HeaderId::kConnection)) return options;
  for (const Header& header : headers) {
    if (header.id != HeaderId::kConnection) continue;
    std::string_view rest = header.value;
    while (!rest.empty()) {
      const size_t comma = rest.find(',');
      const std::string_view token = TrimSpaces(rest.substr(0, comma));
      options.close |= EqualsIgnoreCase(token, "close");
      options.keep_alive |= EqualsIgnoreCase(token, "keep-alive");
      options.upgrade |= EqualsIgnoreCase(token, "upgrade");
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return options;
}

}  // namespace limpet::proto
