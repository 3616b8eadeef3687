#include "worker/net/plain_transport.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include <cerrno>

namespace limpet::worker {
namespace {

void SetOption(int fd, int level, int name, int value) {
  ::setsockopt(fd, level, name, &value, sizeof value);
}

bool IsTcp(int family) { return family == AF_INET || family == AF_INET6; }

size_t Total(const iovec* pieces, int count) {
  size_t total = 0;
  for (int i = 0; i < count; ++i) total += pieces[i].iov_len;
  return total;
}

int SetTransparent(int fd, bool v6) {
  const int on = 1;
  const int level = v6 ? SOL_IPV6 : SOL_IP;
  const int name = v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT;
  return ::setsockopt(fd, level, name, &on, sizeof on) == 0 ? 0 : errno;
}

int BindTo(int fd, const ConnectOptions& options) {
  // The port is chosen at connect, when the destination is known: more connections per address.
  if (options.bind->port() == 0) SetOption(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  return ::bind(fd, options.bind->get(), options.bind->size()) == 0 ? 0 : errno;
}

void SetConnectOptions(int fd, int family, const ConnectOptions& options) {
  if (IsTcp(family)) SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (options.keepalive) SetOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  if (options.send_buffer > 0) SetOption(fd, SOL_SOCKET, SO_SNDBUF, options.send_buffer);
}

}  // namespace

std::unique_ptr<PlainTransport> PlainTransport::Adopt(Loop& loop, UniqueFd fd) {
  std::unique_ptr<PlainTransport> transport(new PlainTransport(loop, std::move(fd)));
  transport->RegisterAccepted();
  return transport;
}

ConnectingSocket StartConnect(const SocketAddress& address, const ConnectOptions& options) {
  UniqueFd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return {{}, errno, "socket()", true};
  SetConnectOptions(fd.get(), address.family(), options);
  if (options.bind != nullptr) {
    const bool v6 = options.bind->family() == AF_INET6;
    const int refused = options.transparent ? SetTransparent(fd.get(), v6) : 0;
    if (refused != 0)
      return {
          {}, refused, v6 ? "setsockopt(IPV6_TRANSPARENT)" : "setsockopt(IP_TRANSPARENT)", true};
    if (const int error = BindTo(fd.get(), options); error != 0) return {{}, error, "bind()", true};
  }
  const bool done = ::connect(fd.get(), address.get(), address.size()) == 0;
  if (!done && errno != EINPROGRESS) return {{}, errno, "connect()"};
  return {std::move(fd), done ? 0 : EINPROGRESS};
}

PlainTransport::Connecting PlainTransport::Connect(Loop& loop, const SocketAddress& address,
                                                   const ConnectOptions& options,
                                                   TransportHandler* handler) {
  ConnectingSocket socket = StartConnect(address, options);
  if (!socket.fd) return {nullptr, socket.errnum, socket.what, socket.ours};
  Connecting result;
  const bool done = socket.errnum == 0;
  result.errnum = socket.errnum;
  result.transport.reset(new PlainTransport(loop, std::move(socket.fd)));
  result.transport->set_handler(handler);
  result.transport->in_setup_ = !done;
  result.transport->Register(done);
  if (!result.transport->registered())
    return {nullptr, result.transport->errnum(), "epoll_ctl()", true};
  return result;
}

void PlainTransport::AdvanceSetup() {
  if (!writable_ && !ended_) return;
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  FinishSetup(error);
}

Io PlainTransport::Read(char* data, size_t size, size_t* n) {
  ssize_t got;
  do {
    got = ::recv(fd(), data, size, 0);
  } while (got < 0 && errno == EINTR);
  if (got > 0) {
    *n = static_cast<size_t>(got);
    if (*n < size && !ended_) readable_ = false;  // more will be a new edge; the end is one already
    return Io::kOk;
  }
  if (got < 0 && errno == EAGAIN) {
    readable_ = false;
    NoteSound();
    return Io::kWouldBlock;
  }
  NoteEnd();
  return got == 0 ? Io::kEof : Fail(errno);
}

Io PlainTransport::Writev(const iovec* pieces, int count, bool more, size_t* n) {
  const int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces);
  message.msg_iovlen = static_cast<size_t>(count);
  ssize_t sent;
  do {
    sent = count == 1 ? ::send(fd(), pieces->iov_base, pieces->iov_len, flags)
                      : ::sendmsg(fd(), &message, flags);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) {
    if (errno != EAGAIN) return Fail(errno);
    writable_ = false;
    return Io::kWouldBlock;
  }
  *n = static_cast<size_t>(sent);
  NoteSound();
  if (*n < Total(pieces, count)) writable_ = false;  // the kernel will tell when there is room
  return Io::kOk;
}

Io PlainTransport::SendFile(int file, off_t offset, size_t size, size_t* n) {
  ssize_t sent;
  do {
    sent = ::sendfile(fd(), file, &offset, size);
  } while (sent < 0 && errno == EINTR);
  if (sent > 0) {
    *n = static_cast<size_t>(sent);
    NoteSound();
    return Io::kOk;
  }
  if (sent == 0) return Fail(EIO);  // the file has become shorter than its announced length
  if (errno != EAGAIN) return Fail(errno);
  writable_ = false;
  return Io::kWouldBlock;
}

Io PlainTransport::SpliceTo(int pipe, size_t size, size_t* n) {
  ssize_t moved;
  do {
    moved = ::splice(fd(), nullptr, pipe, nullptr, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  } while (moved < 0 && errno == EINTR);
  if (moved > 0) {  // how much is left is not known: the pipe may have been too short
    *n = static_cast<size_t>(moved);
    return Io::kOk;
  }
  if (moved < 0 && errno == EAGAIN) {
    if (!ended_) readable_ = false;
    NoteSound();
    return Io::kWouldBlock;
  }
  NoteEnd();
  return moved == 0 ? Io::kEof : Fail(errno);
}

Io PlainTransport::SpliceFrom(int pipe, size_t size, bool more, size_t* n) {
  const unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | (more ? SPLICE_F_MORE : 0);
  ssize_t moved;
  do {
    moved = ::splice(pipe, nullptr, fd(), nullptr, size, flags);
  } while (moved < 0 && errno == EINTR);
  if (moved > 0) {
    *n = static_cast<size_t>(moved);
    NoteSound();
    return Io::kOk;
  }
  if (moved == 0) return Fail(EIO);  // the pipe holds less than was put into it
  if (errno != EAGAIN) return Fail(errno);
  writable_ = false;
  return Io::kWouldBlock;
}

bool PlainTransport::StillIdle() {
  if (ended_ || closed()) return false;
  if (!readable_ && !registers_later_) return true;
  char byte;
  const ssize_t n = ::recv(fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  readable_ = !(n < 0 && errno == EAGAIN);
  return !readable_;
}

}  // namespace limpet::worker
