#include "conf/source_files.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <glob.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.h"

namespace limpet::conf {

Result<std::string> ReadSource(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return ErrnoError(fmt::format("open() \"{}\" failed", path), errno);
  std::string text;
  char buffer[16384];
  for (;;) {
    const ssize_t n = read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(fmt::format("read() \"{}\" failed", path), errno);
    if (n == 0) return text;
    text.append(buffer, static_cast<size_t>(n));
  }
}

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
