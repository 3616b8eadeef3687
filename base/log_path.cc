#include "base/log_path.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>

#include "base/log.h"
#include "base/own_file.h"

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
  if (stream < 0) return OpenThroughOwnLinks(path, O_WRONLY | O_APPEND | O_CREAT, 0644);
  UniqueFd fd(::fcntl(stream, F_DUPFD_CLOEXEC, 3));
  if (!fd) return ErrnoError(fmt::format("open() \"{}\" failed", path), errno);
  return fd;
}

}  // namespace limpet
