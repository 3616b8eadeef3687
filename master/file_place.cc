#include "master/file_place.h"

#include <sys/stat.h>

#include <cerrno>

namespace limpet::master {

int ObstacleTo(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) == 0) return S_ISDIR(found.st_mode) ? EISDIR : 0;
  const size_t slash = path.rfind('/');
  if (slash == path.npos || slash == 0) return 0;
  if (::stat(path.substr(0, slash).c_str(), &found) == 0)
    return S_ISDIR(found.st_mode) ? 0 : ENOTDIR;
  return errno == EACCES ? 0 : errno;
}

}  // namespace limpet::master
