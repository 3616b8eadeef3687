#include "proto/http1/message.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace limpet::proto {
namespace {

constexpr std::array<std::string_view, static_cast<size_t>(Method::kOther) + 1> kMethods = {
    "GET",   "HEAD", "POST", "PUT",      "DELETE",    "OPTIONS", "CONNECT", "TRACE", "PATCH",
    "MKCOL", "COPY", "MOVE", "PROPFIND", "PROPPATCH", "LOCK",    "UNLOCK",  ""};

void SetOption(std::string_view token, ConnectionOptions* options) {
  switch (token.size()) {  // each has another: one comparison at the most
    case 5:
      options->close |= EqualsIgnoreCase(token, "close");
      break;
    case 7:
      options->upgrade |= EqualsIgnoreCase(token, "upgrade");
      break;
    case 10:
      options->keep_alive |= EqualsIgnoreCase(token, "keep-alive");
      break;
    default:
      break;
  }
}

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
      const size_t comma = std::min(rest.find(','), rest.size());
      SetOption(TrimSpaces(rest.substr(0, comma)), &options);
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  return options;
}

}  // namespace limpet::proto
