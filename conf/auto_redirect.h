// Whether a location `/x/` redirects `/x` to itself: where it passes requests on, as in nginx,
// unless auto_redirect says it.
#pragma once

#include "conf/config.h"

namespace limpet::conf {

// Mentioned in a block in which auto_redirect says it.
inline constexpr int kAutoRedirectIsSaid = 0;

inline bool CanRedirectToItself(const Location& location) {
  const bool in_tree = location.kind == LocationKind::kPrefix ||
                       location.kind == LocationKind::kPrefixNoRegex ||
                       location.kind == LocationKind::kExact;
  return in_tree && location.name.ends_with('/');
}

}  // namespace limpet::conf
