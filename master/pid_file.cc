#include "master/pid_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/text.h"
#include "base/unique_fd.h"
#include "master/file_lock.h"
#include "master/file_place.h"

namespace limpet::master {

namespace {

constexpr int kTries = 10;  // others may come and go between two looks

enum class Place : uint8_t { kTaken, kFree, kChanged };

Error IsHeld(const std::string& path) {
  const auto holder = ReadPidFile(path);
  return Error{
      std::make_error_code(std::errc::device_or_resource_busy),
      fmt::format("pid file \"{}\" is held by process {}, which runs", path, holder ? *holder : 0)};
}

// A new file beside `path`, locked and written.
Result<UniqueFd> WriteBeside(const std::string& path, const std::string& beside) {
  ::unlink(beside.c_str());
  UniqueFd fd(::open(beside.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd) return ErrnoError(fmt::format("open() \"{}\" failed", path), errno);
  LockFile(fd.get());
  const std::string text = fmt::format("{}\n", ::getpid());
  if (::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size())) return fd;
  const int error = errno;
  ::unlink(beside.c_str());
  return ErrnoError(fmt::format("write() \"{}\" failed", path), error);
}

// Moves `beside` to `path`, over a file that nobody holds. Who replaces such a file holds its lock
// meanwhile, so that two cannot.
Place MoveInto(const std::string& beside, const std::string& path) {
  if (::link(beside.c_str(), path.c_str()) == 0) {
    ::unlink(beside.c_str());
    return Place::kFree;
  }
  if (errno != EEXIST) {  // a file system without links
    return std::rename(beside.c_str(), path.c_str()) == 0 ? Place::kFree : Place::kChanged;
  }
  const UniqueFd old(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!old && errno == ENOENT) return Place::kChanged;
  if (old && !LockFile(old.get())) return Place::kTaken;
  if (old && !IsFileAt(old.get(), path)) return Place::kChanged;
  return std::rename(beside.c_str(), path.c_str()) == 0 ? Place::kFree : Place::kChanged;
}

}  // namespace

Status PidFile::CheckPlace(const std::string& path) {
  const int errnum = ObstacleTo(path);
  return errnum == 0 ? Status() : ErrnoError(fmt::format("open() \"{}\" failed", path), errnum);
}

Status PidFile::CheckFree(const std::string& path) const {
  // Our own by another name: to close it would unlock it.
  if (path == path_ || (fd_ && IsFileAt(fd_.get(), path))) return {};
  if (auto status = CheckPlace(path); !status) return status;
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  return fd && IsLockedByOther(fd.get()) ? Status(IsHeld(path)) : Status();
}

Status PidFile::Write(const std::string& path) {
  if (path == path_) return {};
  const std::string beside = fmt::format("{}.{}", path, ::getpid());
  auto fd = WriteBeside(path, beside);
  if (!fd) return fd.error();
  Place place = Place::kChanged;
  int error = 0;
  for (int i = 0; i < kTries && place == Place::kChanged; ++i) {
    place = MoveInto(beside, path);
    error = errno;
  }
  if (place != Place::kFree) {
    ::unlink(beside.c_str());
    if (place != Place::kTaken)
      return ErrnoError(fmt::format("rename() to \"{}\" failed", path), error);
    return IsHeld(path);
  }
  Remove();
  fd_ = std::move(*fd);
  path_ = path;
  owner_ = ::getpid();
  return {};
}

Status PidFile::Rename(const std::string& path) {
  if (path_.empty() || path == path_) return {};
  if (std::rename(path_.c_str(), path.c_str()) != 0) {
    return ErrnoError(fmt::format("rename() \"{}\" to \"{}\" failed", path_, path), errno);
  }
  path_ = path;
  return {};
}

void PidFile::Unlock() {
  if (fd_ && owner_ == ::getpid()) UnlockFile(fd_.get());
}

bool PidFile::IsTaken() const {
  return !path_.empty() && !IsFileAt(fd_.get(), path_) && ::access(path_.c_str(), F_OK) == 0;
}

void PidFile::Remove() {
  if (!path_.empty() && owner_ == ::getpid() && IsFileAt(fd_.get(), path_)) ::unlink(path_.c_str());
  path_.clear();
  fd_.Reset();
}

Result<pid_t> ReadPidFile(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return ErrnoError(fmt::format("open() \"{}\" failed", path), errno);
  struct stat found {};
  if (::fstat(fd.get(), &found) != 0 || !S_ISREG(found.st_mode)) {
    return InvalidArgument(fmt::format("\"{}\" is no regular file", path));
  }
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
