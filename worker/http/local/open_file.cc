#include "worker/http/local/open_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

namespace limpet::worker {

OpenedFile OpenFile(std::string_view path) {
  UniqueFd fd(::open(path.data(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return {.errnum = errno, .failed = "open()"};
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return {.errnum = errno, .failed = "fstat()"};
  return {.fd = std::make_shared<const UniqueFd>(std::move(fd)),
          .is_directory = S_ISDIR(info.st_mode),
          .is_regular = S_ISREG(info.st_mode),
          .size = static_cast<uint64_t>(info.st_size),
          .modified = info.st_mtime};
}

FileFacts TestFile(std::string_view path) {
  struct stat info {};
  if (::stat(path.data(), &info) != 0) return {.errnum = errno};
  return {.is_directory = S_ISDIR(info.st_mode)};
}

bool MeansMissing(int errnum) {
  return errnum == ENOENT || errnum == ENOTDIR || errnum == ENAMETOOLONG;
}

}  // namespace limpet::worker
