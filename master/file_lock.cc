#include "master/file_lock.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

namespace limpet::master {
namespace {

struct flock Whole(short type) {
  struct flock whole {};
  whole.l_type = type;
  whole.l_whence = SEEK_SET;
  return whole;
}

}  // namespace

bool LockFile(int fd) {
  const struct flock lock = Whole(F_WRLCK);
  return ::fcntl(fd, F_SETLK, &lock) == 0 || (errno != EACCES && errno != EAGAIN);
}

void UnlockFile(int fd) {
  const struct flock lock = Whole(F_UNLCK);
  (void)::fcntl(fd, F_SETLK, &lock);
}

bool IsLockedByOther(int fd) {
  struct flock lock = Whole(F_WRLCK);
  return ::fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool IsFileAt(int fd, const std::string& path) {
  struct stat open_one {};
  struct stat there {};
  return ::fstat(fd, &open_one) == 0 && ::lstat(path.c_str(), &there) == 0 &&
         open_one.st_dev == there.st_dev && open_one.st_ino == there.st_ino;
}

}  // namespace limpet::master
