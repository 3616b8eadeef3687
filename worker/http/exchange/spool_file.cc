#include "worker/http/exchange/spool_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace limpet::worker {

Result<UniqueFd> OpenTemporary(const std::string& folder, std::string* path) {
  std::string name = folder + "/limpet.XXXXXX";
  UniqueFd fd(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd) return ErrnoError(fmt::format("open() \"{}\" failed", name), errno);
  if (path != nullptr) {
    *path = name;
  } else {
    ::unlink(name.c_str());
  }
  return fd;
}

Status WriteFully(int fd, std::string_view bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError("pwrite() to a temporary file failed", errno);
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

Status SpoolFile::Append(const std::string& folder, std::string_view bytes) {
  if (file_ == nullptr) {
    auto fd = OpenTemporary(folder, nullptr);
    if (!fd) return fd.error();
    file_ = std::make_shared<const UniqueFd>(std::move(*fd));
  }
  if (const Status written = WriteFully(file_->get(), bytes, size_); !written) return written;
  size_ += bytes.size();
  return {};
}

}  // namespace limpet::worker
