#include "base/log_path.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>

#include "base/log.h"

namespace limpet {
namespace {

int StandardStream(const std::string& path) {
  if (path == "/dev/stdout") return STDOUT_FILENO;
  return path == "/dev/stderr" ? STDERR_FILENO : -1;
}

}  // namespace

bool IsStandardStream(const std::string& path) { return StandardStream(path) >= 0; }

Result<UniqueFd> OpenLogPath(const std::string& path) {
  const int stream = StandardStream(path);
  UniqueFd fd(stream >= 0 ? ::fcntl(stream, F_DUPFD_CLOEXEC, 3)
                          : ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644));
  if (!fd) return ErrnoError(fmt::format("open() \"{}\" failed", path), errno);
  return fd;
}

}  // namespace limpet
