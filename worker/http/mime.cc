#include "worker/http/mime.h"

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

}  // namespace limpet::worker
