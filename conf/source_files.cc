#include "conf/source_files.h"

#include <glob.h>

namespace limpet::conf {

bool HasWildcard(const std::string& path) { return path.find_first_of("*?[") != std::string::npos; }

std::vector<std::string> Expand(const std::string& pattern) {
  std::vector<std::string> paths;
  glob_t found{};
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  globfree(&found);
  return paths;
}

}  // namespace limpet::conf
