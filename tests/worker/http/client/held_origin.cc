#include "tests/worker/http/client/held_origin.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/socket_address.h"

namespace limpet::worker {
namespace {

UniqueFd ListenAt(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  ::unlink(path.c_str());
  const SocketAddress address = SocketAddress::Unix(path);
  EXPECT_EQ(::bind(fd.get(), address.get(), address.size()), 0);
  EXPECT_EQ(::listen(fd.get(), 64), 0);
  return fd;
}

}  // namespace

HeldOrigin::Connection::Connection(Loop& loop, UniqueFd socket)
    : fd(std::move(socket)), watch(loop, fd.get(), Callback::To<&Connection::OnReadable>(this)) {
  watch.Start();
}

void HeldOrigin::Connection::OnReadable() {
  char bytes[16384];
  const ssize_t n = ::recv(fd.get(), bytes, sizeof bytes, 0);
  if (n <= 0) return Close();
  received.append(bytes, static_cast<size_t>(n));
}

void HeldOrigin::Connection::Close() {
  watch.Stop();
  fd.Reset();
  open = false;
}

HeldOrigin::HeldOrigin(Loop& loop)
    : loop_(loop),
      path_(fmt::format("/tmp/limpet-held.{}.sock", ::getpid())),
      listen_(ListenAt(path_)),
      watch_(loop, listen_.get(), Callback::To<&HeldOrigin::OnConnection>(this)) {
  watch_.Start();
}

HeldOrigin::~HeldOrigin() {
  watch_.Stop();
  ::unlink(path_.c_str());
}

void HeldOrigin::Answer(std::string_view bytes) {
  const int fd = connections_.back()->fd.get();
  EXPECT_EQ(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(bytes.size()));
}

void HeldOrigin::Close() { connections_.back()->Close(); }

void HeldOrigin::OnConnection() {
  UniqueFd fd(::accept4(listen_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (fd) connections_.push_back(std::make_unique<Connection>(loop_, std::move(fd)));
}

}  // namespace limpet::worker
