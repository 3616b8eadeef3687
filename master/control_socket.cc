#include "master/control_socket.h"

#include <fmt/core.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/exhausted.h"
#include "base/own_file.h"
#include "base/socket_address.h"

namespace limpet::master {
namespace {

constexpr size_t kMostClients = 16;
constexpr uint64_t kClientMs = 5000;  // from its connection to the end of its answer
constexpr uint64_t kPauseMs = 1000;   // without a descriptor or memory for a client

Result<UniqueFd> ListenAt(const std::string& path) {
  const SocketAddress address = SocketAddress::Unix(path);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return ErrnoError("socket() failed", errno);
  const mode_t before = ::umask(0177);  // nobody else can connect, not even for a moment
  const int bound = ::bind(fd.get(), address.get(), address.size());
  const int error = errno;
  ::umask(before);
  if (bound != 0) return ErrnoError(fmt::format("bind() to \"{}\" failed", path), error);
  if (::listen(fd.get(), static_cast<int>(kMostClients)) == 0) return fd;
  return ErrnoError(fmt::format("listen() to \"{}\" failed", path), errno);
}

// Root, and who the master is.
bool MayTalk(int fd) {
  ucred who{};
  socklen_t size = sizeof who;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return false;
  return who.uid == 0 || who.uid == ::geteuid();
}

void Watch(int poll, int fd, uint32_t events, int operation) {
  epoll_event event{};
  event.events = events;
  ::epoll_ctl(poll, operation, fd, &event);
}

}  // namespace

struct ControlSocket::Client {
  UniqueFd fd;
  uint64_t until_ms = 0;
  std::string in, out;
  size_t sent = 0;
};

ControlSocket::ControlSocket(Answer answer) : answer_(std::move(answer)) {}
ControlSocket::~ControlSocket() { Close(); }

Status ControlSocket::Open(const std::string& path) {
  if (path.empty()) {
    Close();
    return {};
  }
  if (path == path_ && IsOurs()) return {};
  // A path longer than an address holds would be bound cut short.
  if (path.size() + 12 > sizeof(sockaddr_un::sun_path)) {
    return InvalidArgument(fmt::format("the path of the control socket \"{}\" is too long", path));
  }
  const std::string beside = NameBeside(path);
  auto fd = ListenAt(beside);
  if (!fd) return fd.error();
  struct stat made {};
  if (::stat(beside.c_str(), &made) != 0 || std::rename(beside.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(beside.c_str());
    return ErrnoError(fmt::format("rename() to \"{}\" failed", path), error);
  }
  if (path != path_) Close();
  clients_.clear();
  accepts_again_ms_.reset();
  poll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  listen_ = std::move(*fd);
  path_ = path;
  device_ = made.st_dev;
  inode_ = made.st_ino;
  Watch(poll_.get(), listen_.get(), EPOLLIN, EPOLL_CTL_ADD);
  return {};
}

bool ControlSocket::IsOurs() const {
  struct stat there {};
  return !path_.empty() && ::stat(path_.c_str(), &there) == 0 && there.st_dev == device_ &&
         there.st_ino == inode_;
}

void ControlSocket::Close() {
  if (IsOurs()) ::unlink(path_.c_str());
  Forget();
}

void ControlSocket::Forget() {
  clients_.clear();
  accepts_again_ms_.reset();
  listen_.Reset();
  poll_.Reset();
  path_.clear();
}

void ControlSocket::Serve(uint64_t now_ms) {
  if (!poll_) return;
  if (accepts_again_ms_ && now_ms >= *accepts_again_ms_) {
    accepts_again_ms_.reset();
    WatchListener(true);
  }
  if (!accepts_again_ms_) Accept(now_ms);
  std::erase_if(clients_, [&](const std::unique_ptr<Client>& client) {
    return !Continue(*client) || now_ms >= client->until_ms;
  });
}

void ControlSocket::Accept(uint64_t now_ms) {
  for (;;) {
    UniqueFd fd(::accept4(listen_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      if (!IsExhausted(errno)) return;
      accepts_again_ms_ = now_ms + kPauseMs;
      return WatchListener(false);
    }
    if (!MayTalk(fd.get())) continue;
    if (clients_.size() >= kMostClients) DropOne();
    Watch(poll_.get(), fd.get(), EPOLLIN, EPOLL_CTL_ADD);
    clients_.push_back(std::make_unique<Client>(
        Client{.fd = std::move(fd), .until_ms = now_ms + kClientMs, .in = {}, .out = {}}));
  }
}

// Those that wait stay readable: while they cannot be taken, nobody is woken for them.
void ControlSocket::WatchListener(bool wanted) {
  const uint32_t events = wanted ? EPOLLIN : 0u;
  Watch(poll_.get(), listen_.get(), events, EPOLL_CTL_MOD);
}

// The oldest of those that have not asked yet gives way: silence keeps nobody out.
void ControlSocket::DropOne() {
  const auto silent =
      std::ranges::find_if(clients_, [](const auto& client) { return client->out.empty(); });
  clients_.erase(silent == clients_.end() ? clients_.begin() : silent);
}

bool ControlSocket::Continue(Client& client) {
  if (client.out.empty() && !Read(client)) return false;
  return client.out.empty() || Write(client);
}

bool ControlSocket::Read(Client& client) {
  char buffer[4096];
  const ssize_t n = ::read(client.fd.get(), buffer, sizeof buffer);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) return false;
  client.in.append(buffer, static_cast<size_t>(n));
  const size_t end = client.in.find('\n');
  if (end == client.in.npos) return client.in.size() < kLongestRequest;
  client.out = answer_(std::string_view(client.in).substr(0, end));
  Watch(poll_.get(), client.fd.get(), EPOLLOUT, EPOLL_CTL_MOD);
  return !client.out.empty();
}

bool ControlSocket::Write(Client& client) {
  while (client.sent < client.out.size()) {
    const ssize_t n = ::send(client.fd.get(), client.out.data() + client.sent,
                             client.out.size() - client.sent, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    client.sent += static_cast<size_t>(n);
  }
  return false;
}

std::optional<uint64_t> ControlSocket::NextDeadline() const {
  std::optional<uint64_t> next = accepts_again_ms_;
  for (const auto& client : clients_) next = std::min(next.value_or(UINT64_MAX), client->until_ms);
  return next;
}

}  // namespace limpet::master
