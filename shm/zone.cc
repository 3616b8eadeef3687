#include "shm/zone.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <boost/interprocess/anonymous_shared_memory.hpp>
#include <boost/interprocess/exceptions.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>
#include <utility>

#include "base/own_file.h"

namespace limpet::shm {
namespace {

namespace bip = boost::interprocess;

constexpr mode_t kMode = 0600;
constexpr const char* kFolder = "/dev/shm/";

Error Failed(const char* call, const std::string& name, int errnum) {
  return ErrnoError(std::string(call) + " \"" + name + "\" failed", errnum);
}

// In a container that folder is small unless somebody has said otherwise.
Error NoRoom(const std::string& name, size_t bytes, int errnum) {
  Error error = Failed("posix_fallocate()", name, errnum);
  struct statvfs folder {};
  if (errnum != ENOSPC || ::statvfs(kFolder, &folder) != 0) return error;
  error.message += fmt::format(
      ": {} bytes are needed, {} of {} are free in /dev/shm; docker makes it larger with "
      "--shm-size",
      bytes, uint64_t{folder.f_bavail} * folder.f_frsize,
      uint64_t{folder.f_blocks} * folder.f_frsize);
  return error;
}

bool Share(int fd) { return ::flock(fd, LOCK_SH | LOCK_NB) == 0; }

// Everybody who has the object open holds it shared, through the descriptor that workers inherit;
// so whoever gets it exclusively knows that all others are gone. It is held exclusively for an
// instant only, also by who removes the name; but for longer, where a process is killed in that
// instant, by those that have inherited its descriptor.
bool TakeFlock(int fd, bool* held) {
  constexpr int kLooks = 500;  // one a millisecond
  const bool alone = ::flock(fd, LOCK_EX | LOCK_NB) == 0;
  *held = Share(fd);
  for (int i = 0; i < kLooks && !*held; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    *held = Share(fd);
  }
  return alone;
}

bool IsOurs(const struct stat& status) {
  return S_ISREG(status.st_mode) && status.st_uid == ::geteuid() && (status.st_mode & 0077) == 0 &&
         status.st_nlink == 1;
}

Error NotOurs(const std::string& name) {
  return Error{std::make_error_code(std::errc::permission_denied),
               "shared memory \"" + name + "\" is not ours alone"};
}

// What Boost maps: something that has a descriptor.
struct Mappable {
  int fd;
  bip::mapping_handle_t get_mapping_handle() const { return {fd, false}; }
};

}  // namespace

Status Zone::Map(bip::shared_memory_object object) {
  object_ = std::move(object);
  try {
    region_ = bip::mapped_region(object_, bip::read_write);
  } catch (const bip::interprocess_exception& e) {
    return Failed("mmap()", object_.get_name(), e.get_native_error());
  }
  ::madvise(region_.get_address(), region_.get_size(), MADV_HUGEPAGE);  // where it is allowed
  return {};
}

Result<Zone> Zone::Create(const std::string& name, size_t bytes) {
  Zone zone;
  try {
    bip::shared_memory_object object(bip::create_only, name.c_str(), bip::read_write,
                                     bip::permissions(kMode));
    const int fd = object.get_mapping_handle().handle;
    zone.alone_ = TakeFlock(fd, &zone.held_);  // before it has a size: nobody opens it until then
    const int error = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes));
    if (error != 0) {
      Remove(name);
      return NoRoom(name, bytes, error);
    }
    if (Status mapped = zone.Map(std::move(object)); !mapped) {
      Remove(name);
      return mapped.error();
    }
  } catch (const bip::interprocess_exception& e) {
    return Failed("shm_open()", name, e.get_native_error());
  }
  return zone;
}

Result<Zone> Zone::Open(const std::string& name) {
  Zone zone;
  try {
    bip::shared_memory_object object(bip::open_only, name.c_str(), bip::read_write);
    const int fd = object.get_mapping_handle().handle;
    struct stat status {};
    if (::fstat(fd, &status) != 0) return Failed("fstat()", name, errno);
    if (!IsOurs(status)) return NotOurs(name);
    if (status.st_size == 0) return InvalidArgument("shared memory \"" + name + "\" is empty");
    zone.alone_ = TakeFlock(fd, &zone.held_);
    if (Status mapped = zone.Map(std::move(object)); !mapped) return mapped.error();
    if (!zone.IsNamed(name)) return Failed("shm_open()", name, ENOENT);  // removed in this instant
  } catch (const bip::interprocess_exception& e) {
    const int error = e.get_native_error();
    const bool missing = error == ENOENT || error == EMFILE || error == ENFILE || error == ENOMEM;
    return missing ? Failed("shm_open()", name, error) : NotOurs(name);
  }
  return zone;
}

int Zone::descriptor() const { return fd_ ? fd_.get() : object_.get_mapping_handle().handle; }

bool Zone::Alone() const { return Hold() && TakeFlock(descriptor(), &held_); }

bool Zone::Hold() const {
  if (!held_) held_ = Share(descriptor());
  return held_;
}

Result<Zone> Zone::OpenAgain() const {
  const std::string path = fmt::format("/proc/self/fd/{}", descriptor());
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) return Failed("open()", path, errno);
  bool held = false;
  const bool alone = TakeFlock(fd.get(), &held);
  Result<Zone> again = FromDescriptor(std::move(fd), size());
  if (again) {
    again->alone_ = alone;
    again->held_ = held;
  }
  return again;
}

// On Linux the objects are files.
std::vector<std::string> Zone::OwnNames(const std::string& prefix) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(kFolder), ::closedir);
  if (folder == nullptr) return names;
  while (const dirent* const entry = ::readdir(folder.get())) {
    const std::string name = entry->d_name;
    struct stat status {};
    if (!name.starts_with(prefix)) continue;
    const bool found =
        ::fstatat(::dirfd(folder.get()), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (found && IsOurs(status)) names.push_back(name);
  }
  return names;
}

Result<Zone> Zone::Nameless(size_t bytes) {
  UniqueFd fd(::memfd_create("limpet-zone", MFD_CLOEXEC));
  if (!fd) return ErrnoError("memfd_create() failed", errno);
  const int error = ::posix_fallocate(fd.get(), 0, static_cast<off_t>(bytes));
  if (error != 0) return ErrnoError("posix_fallocate() of a zone failed", error);
  return FromDescriptor(std::move(fd), bytes);
}

Result<Zone> Zone::FromDescriptor(UniqueFd fd, size_t bytes) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return ErrnoError("fstat() of a zone failed", errno);
  if (!S_ISREG(status.st_mode) || !IsFileInMemory(fd.get())) {  // a disk may fail beneath us
    return InvalidArgument("its descriptor is no file in memory");
  }
  if (static_cast<uint64_t>(status.st_size) != bytes) {
    return InvalidArgument("its file has another size");
  }
  Zone zone;
  try {
    zone.region_ = bip::mapped_region(Mappable{fd.get()}, bip::read_write, 0, bytes);
  } catch (const bip::interprocess_exception& e) {
    return ErrnoError("mmap() of a zone failed", e.get_native_error());
  }
  zone.fd_ = std::move(fd);
  return zone;
}

Result<Zone> Zone::Anonymous(size_t bytes) {
  Zone zone;
  try {
    zone.region_ = bip::anonymous_shared_memory(bytes);
  } catch (const bip::interprocess_exception& e) {
    return Failed("mmap()", "anonymous", e.get_native_error());
  }
  return zone;
}

bool Zone::IsNamed(const std::string& name) const {
  struct stat ours {};
  struct stat named {};
  const std::string path = kFolder + name;
  return ::fstat(descriptor(), &ours) == 0 && ::stat(path.c_str(), &named) == 0 &&
         ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

bool Zone::IsTaken(const std::string& name) {
  struct stat found {};
  return ::lstat((kFolder + name).c_str(), &found) == 0;
}

void Zone::RemoveIfAlone(const std::string& name) {
  const int fd = descriptor();
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0 && IsNamed(name)) Remove(name);
  held_ = Share(fd);
}

void Zone::Remove(const std::string& name) { bip::shared_memory_object::remove(name.c_str()); }

// POSIX has no call for it.
Status Zone::Rename(const std::string& from, const std::string& to) {
  if (std::rename((kFolder + from).c_str(), (kFolder + to).c_str()) == 0) return {};
  return Failed("rename()", from, errno);
}

Status Zone::RenameNew(const std::string& from, const std::string& to) {
  const std::string one = kFolder + from, other = kFolder + to;
  if (::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_NOREPLACE) == 0) return {};
  if (errno == EEXIST) return Failed("renameat2()", from, errno);
  // A kernel without it, or one that may not be asked.
  if (::link(one.c_str(), other.c_str()) != 0) return Failed("link()", from, errno);
  ::unlink(one.c_str());
  return {};
}

Status Zone::Exchange(const std::string& one, const std::string& other) {
  return ExchangeFiles(kFolder + one, kFolder + other);
}

}  // namespace limpet::shm
