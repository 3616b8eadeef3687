// Whether a file can be made somewhere, as far as its folder says. Asked before anything is
// changed.
#pragma once

#include <string>

namespace limpet::master {

// An errno: the folder of `path` is not there, or `path` is a folder itself. 0: neither is known.
int ObstacleTo(const std::string& path);

}  // namespace limpet::master
