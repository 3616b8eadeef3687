// Finds the location of a URI, with nginx's rules: an exact match wins at once; else the longest
// prefix is remembered, the locations inside it are searched, and regular expressions are tried in
// the order written unless the prefix forbids it.
#pragma once

#include <string_view>

#include "conf/config.h"

namespace limpet::worker {

struct LocationMatch {
  const conf::Location* location = nullptr;
  bool auto_redirect = false;  // the URI lacks only the final slash of `location`: redirect there
  bool by_regex = false;       // it, or one around it: other regular expressions are not tried
};

// `reader` gets the groups of the regular expressions that match: those of the innermost in
// captures(), the named ones of all; it is told if one of them fails, and nothing is found.
LocationMatch FindLocation(const conf::Location& outer, std::string_view uri,
                           conf::VariableReader& reader);

}  // namespace limpet::worker
