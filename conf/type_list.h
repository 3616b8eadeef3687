// Rows like gzip_types: content types that a feature works on, or * for all. text/html is always
// among them.
#pragma once

#include <algorithm>
#include <string>

#include "conf/setting.h"

namespace limpet::conf {

// `kFeature`: a member of ResponseSettings with `types` and `any_type`.
template <auto kFeature>
Status TypeList(Block& b, const Directive& d) {
  auto& feature = b.location->response.*kFeature;
  if (b.First(&feature.types)) {
    feature.types = {"text/html"};
    feature.any_type = false;
  }
  for (const std::string& word : d.args) {
    if (word == "*") {
      feature.any_type = true;
      continue;
    }
    std::string type = ToLower(word);
    if (std::find(feature.types.begin(), feature.types.end(), type) != feature.types.end()) {
      WarnOfDuplicate(b, d, "MIME type", word);
      continue;
    }
    feature.types.push_back(std::move(type));
  }
  return {};
}

}  // namespace limpet::conf
