#include "master/standard_streams.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace limpet::master {

void FillStandardStreams() {
  int fd;
  do {
    fd = ::open("/dev/null", O_RDWR);  // the lowest free one
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) ::close(fd);
}

Result<UniqueFd> Daemonize(bool keep_stderr) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoError("pipe2() failed", errno);
  UniqueFd news(ends[0]);
  UniqueFd told(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return ErrnoError("fork() failed", errno);
  if (child > 0) {
    told = {};
    char byte = 0;
    ::_exit(::read(news.get(), &byte, 1) == 1 ? 0 : 1);
  }
  news = {};
  if (::setsid() < 0) return ErrnoError("setsid() failed", errno);
  ::umask(0022);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return ErrnoError("open(\"/dev/null\") failed", errno);
  ::dup2(null, STDIN_FILENO);
  ::dup2(null, STDOUT_FILENO);
  if (!keep_stderr) ::dup2(null, STDERR_FILENO);
  ::close(null);
  return told;
}

}  // namespace limpet::master
