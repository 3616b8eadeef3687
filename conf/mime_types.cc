#include "conf/mime_types.h"

#include <fmt/core.h>

#include "conf/loader.h"

namespace limpet::conf {

std::shared_ptr<const MimeTypes> DefaultMimeTypes() {
  return std::make_shared<const MimeTypes>(
      MimeTypes{{"html", "text/html"}, {"gif", "image/gif"}, {"jpg", "image/jpeg"}});
}

// `text/html html htm;`: an extension that is named twice keeps its last type, with a warning.
Status TypesBlock(Block& block, const Directive& d) {
  auto types = std::make_shared<MimeTypes>();
  if (!block.First(&block.location->response.types)) *types = *block.location->response.types;
  for (const Directive& entry : d.block) {
    if (entry.has_block) return NestedBlockHere(entry);
    for (const std::string& extension : entry.args) {
      const auto [it, is_new] = types->try_emplace(ToLower(extension), entry.name);
      if (is_new) continue;
      block.loader.Warn(entry, fmt::format("duplicate extension \"{}\", content type: \"{}\", "
                                           "previous content type: \"{}\"",
                                           extension, entry.name, it->second));
      it->second = entry.name;
    }
  }
  block.location->response.types = std::move(types);
  return {};
}

}  // namespace limpet::conf
