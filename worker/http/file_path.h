// From a URI to the file it names: root and alias. Paths are absolute, lie in the exchange's arena,
// and have a zero byte behind their end, so that data() can be given to the system.
#pragma once

#include <optional>
#include <string_view>

#include "worker/http/exchange.h"

namespace limpet::worker {

struct FilePath {
  std::string_view path;
  size_t root_size = 0;  // bytes that root or alias gave
};

// $document_root: root or alias, evaluated.
std::string_view DocumentRoot(Exchange& exchange);

// The path of the request's URI, with `more` behind it: $request_filename. Nothing (and an alert in
// the log) for an alias whose location no longer matches the URI.
std::optional<FilePath> MapUriToPath(Exchange& exchange, std::string_view more = {});

// The bytes of the URI that an alias stands for; 0 without alias, npos in a regex location.
size_t AliasedPrefix(const conf::Location& location);

// `text` with a zero byte behind it.
std::string_view WithZero(Arena& arena, std::string_view text);

}  // namespace limpet::worker
