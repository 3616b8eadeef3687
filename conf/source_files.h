// File names of a configuration that stand for several: include conf.d/*.conf.
#pragma once

#include <string>
#include <vector>

namespace limpet::conf {

bool HasWildcard(const std::string& path);
// The files that a pattern names, sorted; none is no error.
std::vector<std::string> Expand(const std::string& pattern);

}  // namespace limpet::conf
