#include "base/own_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>

#include "base/hash.h"
#include "base/text.h"

namespace limpet {
namespace {

constexpr int kMostLinks = 8;
constexpr int kMostNames = 16;  // of a new file that are tried where others have taken them

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == path.npos ? "./" : path.substr(0, slash + 1);
}

Error Failed(std::string_view call, const std::string& path, int errnum) {
  return ErrnoError(fmt::format("{} \"{}\" failed", call, path), errnum);
}

// What a link points to. Nobody can put another one in its place between the two looks.
Result<std::string> OwnLink(const std::string& path) {
  const UniqueFd link(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat found {};
  if (!link || ::fstat(link.get(), &found) != 0) return Failed("open()", path, errno);
  if (!S_ISLNK(found.st_mode)) return Failed("open()", path, ENOTDIR);
  if (found.st_uid != 0 && found.st_uid != ::geteuid()) {
    return Error{std::make_error_code(std::errc::permission_denied),
                 fmt::format("open() \"{}\" failed: it is a link of another user", path)};
  }
  char target[PATH_MAX];
  const ssize_t size = ::readlinkat(link.get(), "", target, sizeof target);
  if (size <= 0 || size == std::ssize(target)) return Failed("readlink()", path, errno);
  const std::string_view text(target, static_cast<size_t>(size));
  return text.starts_with('/') ? std::string(text) : FolderOf(path) + std::string(text);
}

UniqueFd OpenAtOnce(int folder, const std::string& path, int flags, mode_t mode) {
  UniqueFd fd(::openat(folder, path.c_str(), flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, mode));
  if (!fd) return fd;
  const int status = ::fcntl(fd.get(), F_GETFL);
  if (status >= 0 && (flags & O_NONBLOCK) == 0) ::fcntl(fd.get(), F_SETFL, status & ~O_NONBLOCK);
  return fd;
}

Status WriteAll(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed("write()", path, errno);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

// Where a file is: its folder, which nobody can exchange from now on, and its name there. Whoever
// owns the folder above may put a link in the place of this one.
struct Spot {
  UniqueFd folder;
  std::string name;
};

Result<Spot> FindSpot(const std::string& path) {
  std::string folder = FolderOf(path);
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();  // a link would be followed
  auto fd = OpenThroughOwnLinks(folder, O_PATH | O_DIRECTORY);
  if (!fd) return fd.error();
  return Spot{std::move(*fd), path.substr(path.rfind('/') + 1)};
}

Status WriteAndSync(int fd, std::span<const std::string_view> pieces, const std::string& path) {
  for (const std::string_view piece : pieces) {
    if (auto status = WriteAll(fd, piece, path); !status) return status;
  }
  return ::fsync(fd) == 0 ? Status() : Status(Failed("fsync()", path, errno));
}

// A new file beside `path`; one that an earlier run has left there goes.
Result<UniqueFd> CreateBeside(const Spot& spot, const std::string& path, std::string* name) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  *name = spot.name + ".new";
  ::unlinkat(spot.folder.get(), name->c_str(), 0);
  for (int i = 0;; ++i) {
    UniqueFd fd(::openat(spot.folder.get(), name->c_str(), kFlags, 0600));
    if (fd) return fd;
    if (errno != EEXIST || i == kMostNames) return Failed("open()", FolderOf(path) + *name, errno);
    *name = NameBeside(spot.name);
  }
}

Error NotOwn(const std::string& path, std::string_view why) {
  return Error{std::make_error_code(std::errc::permission_denied),
               fmt::format("\"{}\" {}", path, why)};
}

Result<UniqueFd> OpenOwn(const std::string& path, int flags, struct stat* found) {
  const auto spot = FindSpot(path);
  if (!spot) return spot.error();
  UniqueFd fd = OpenAtOnce(spot->folder.get(), spot->name, flags | O_NOFOLLOW, 0600);
  if (!fd || ::fstat(fd.get(), found) != 0) return Failed("open()", path, errno);
  if (!S_ISREG(found->st_mode)) return NotOwn(path, "is no regular file");
  if (found->st_uid != ::geteuid()) return NotOwn(path, "belongs to another user");
  if ((found->st_mode & 0022) != 0) return NotOwn(path, "can be written by others");
  return fd;
}

// So that the new name is on the disk, too. Best effort: the data is there already.
void SyncFolder(const Spot& spot) {
  const UniqueFd fd(::openat(spot.folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd) (void)::fsync(fd.get());
}

}  // namespace

Result<UniqueFd> OpenThroughOwnLinks(const std::string& given, int flags, mode_t mode) {
  std::string path = given;
  for (int i = 0; i < kMostLinks; ++i) {
    // The kernel's own links lead to what a process has open, whatever their text says.
    const int follow = path.starts_with("/proc/") ? 0 : O_NOFOLLOW;
    UniqueFd fd = OpenAtOnce(AT_FDCWD, path, flags | follow, mode);
    if (fd) return fd;
    const bool link = errno == ELOOP || (errno == ENOTDIR && (flags & O_DIRECTORY) != 0);
    if (!link || follow == 0) return Failed("open()", path, errno);
    auto target = OwnLink(path);
    if (!target) return target.error();
    path = std::move(*target);
  }
  return Failed("open()", given, ELOOP);
}

Result<UniqueFd> OpenOwnFile(const std::string& path) {
  struct stat found {};
  return OpenOwn(path, O_RDONLY, &found);
}

Result<UniqueFd> OpenOrMakeOwnFile(const std::string& path) {
  struct stat found {};
  auto fd = OpenOwn(path, O_RDWR | O_CREAT, &found);
  if (fd && found.st_nlink != 1) return NotOwn(path, "has another name");
  return fd;
}

void MakeFolderOf(const std::string& path) {
  const std::string folder = path.substr(0, path.rfind('/'));
  if (folder.empty() || ::mkdir(folder.c_str(), 0700) == 0 || errno != ENOENT) return;
  MakeFolderOf(folder);
  ::mkdir(folder.c_str(), 0700);
}

std::string NameBeside(const std::string& path) {
  uint32_t random = 0;
  RandomBytes(&random, sizeof random);
  return fmt::format("{}.{:08x}", path, random);
}

Status ExchangeFiles(const std::string& one, const std::string& other) {
  if (::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) == 0) return {};
  return Failed("renameat2()", one, errno);
}

Status ReplaceFile(const std::string& path, std::string_view bytes) {
  return ReplaceFile(path, std::span(&bytes, 1));
}

Status ReplaceFile(const std::string& path, std::span<const std::string_view> pieces) {
  const auto spot = FindSpot(path);
  if (!spot) return spot.error();
  const int folder = spot->folder.get();
  std::string name;
  auto fd = CreateBeside(*spot, path, &name);
  if (!fd) return fd.error();
  const std::string full = FolderOf(path) + name;
  Status done = WriteAndSync(fd->get(), pieces, full);
  if (done && ::renameat(folder, name.c_str(), folder, spot->name.c_str()) != 0) {
    done = ErrnoError(fmt::format("rename() \"{}\" to \"{}\" failed", full, path), errno);
  }
  if (!done) {
    ::unlinkat(folder, name.c_str(), 0);
    return done;
  }
  SyncFolder(*spot);
  return {};
}

}  // namespace limpet
