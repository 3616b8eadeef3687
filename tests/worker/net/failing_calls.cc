#include "tests/worker/net/failing_calls.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace {

using limpet::worker::FailingCall;

template <class... Args>
int Call(FailingCall& call, long number, Args... args) {
  ++call.calls;
  if (call.error == 0) return static_cast<int>(::syscall(number, args...));
  errno = call.error;
  return -1;
}

}  // namespace

extern "C" int accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  return Call(limpet::worker::failing_accept4, SYS_accept4, fd, address, size, flags);
}

extern "C" int epoll_ctl(int poll, int operation, int fd, epoll_event* event) noexcept {
  return Call(limpet::worker::failing_epoll_ctl, SYS_epoll_ctl, poll, operation, fd, event);
}
