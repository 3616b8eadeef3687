#include "worker/http/exchange/mime.h"

#include <algorithm>

#include "base/text.h"

namespace limpet::worker {

std::string_view FileExtension(std::string_view uri) {
  const size_t at = uri.find_last_of("./");
  if (at == std::string_view::npos || at < 2 || uri[at] == '/' || uri[at - 1] == '/') return {};
  return uri.substr(at + 1);
}

std::string_view ContentTypeOf(const conf::ResponseSettings& settings, std::string_view uri) {
  const std::string_view extension = FileExtension(uri);
  if (settings.types != nullptr && !extension.empty()) {
    auto it = settings.types->find(extension);
    if (it == settings.types->end()) it = settings.types->find(ToLower(extension));
    if (it != settings.types->end()) return it->second;
  }
  return settings.default_type;
}

bool IsOneOfTypes(const std::vector<std::string>& types, bool any, std::string_view content_type) {
  if (any) return true;
  const std::string_view type = TrimSpaces(content_type.substr(0, content_type.find(';')));
  return std::any_of(types.begin(), types.end(),
                     [type](const std::string& t) { return EqualsIgnoreCase(t, type); });
}

}  // namespace limpet::worker
