#include "master/pid_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/text.h"
#include "base/unique_fd.h"

namespace limpet::master {

Status PidFile::Write(const std::string& path) {
  if (path == path_) return {};
  const std::string beside = fmt::format("{}.{}", path, ::getpid());
  {
    const UniqueFd fd(
        ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd) return ErrnoError(fmt::format("open() \"{}\" failed", path), errno);
    const std::string text = fmt::format("{}\n", ::getpid());
    if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      const int error = errno;
      ::unlink(beside.c_str());
      return ErrnoError(fmt::format("write() \"{}\" failed", path), error);
    }
  }
  if (std::rename(beside.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(beside.c_str());
    return ErrnoError(fmt::format("rename() to \"{}\" failed", path), error);
  }
  Remove();
  path_ = path;
  owner_ = ::getpid();
  return {};
}

void PidFile::Remove() {
  if (!path_.empty() && owner_ == ::getpid()) ::unlink(path_.c_str());
  path_.clear();
}

Result<pid_t> ReadPidFile(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return ErrnoError(fmt::format("open() \"{}\" failed", path), errno);
  char buffer[32];
  const ssize_t size = ::read(fd.get(), buffer, sizeof buffer);
  if (size < 0) return ErrnoError(fmt::format("read() \"{}\" failed", path), errno);
  std::string_view text(buffer, static_cast<size_t>(size));
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  const auto pid = ParseDecimal(text);
  if (!pid || *pid == 0 || *pid > 1u << 30) {
    return InvalidArgument(fmt::format("invalid PID number \"{}\" in \"{}\"", text, path));
  }
  return static_cast<pid_t>(*pid);
}

}  // namespace limpet::master
