// Content types of files by their extension.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "conf/response.h"

namespace limpet::worker {

// "html" of "/a/b.html"; "" without one. A name that begins with its only dot has none.
std::string_view FileExtension(std::string_view uri);

// From `types`, in any case of the extension; else default_type.
std::string_view ContentTypeOf(const conf::ResponseSettings& settings, std::string_view uri);

// Whether a content type is among `types` (lower case, without parameters), or any will do.
bool IsOneOfTypes(const std::vector<std::string>& types, bool any, std::string_view content_type);

}  // namespace limpet::worker
