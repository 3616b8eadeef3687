// The files that a configuration is made of.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace limpet::conf {

Result<std::string> ReadSource(const std::string& path);

bool HasWildcard(const std::string& path);
// The files that a pattern names, sorted; none is no error.
std::vector<std::string> Expand(const std::string& pattern);

}  // namespace limpet::conf
