#include "master/socket_options.h"

#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

namespace limpet::master {
namespace {

Status SetOption(int fd, int level, int name, std::string_view text, int value) {
  if (::setsockopt(fd, level, name, &value, sizeof value) == 0) return {};
  return ErrnoError(fmt::format("setsockopt({}, {}) failed", text, value), errno);
}

struct OptionRow {
  int level;
  int name;
  std::string_view text;
  int conf::Listen::*field;  // 0: leave the system's
};
constexpr OptionRow kSizes[] = {
    {SOL_SOCKET, SO_RCVBUF, "SO_RCVBUF", &conf::Listen::rcvbuf},
    {SOL_SOCKET, SO_SNDBUF, "SO_SNDBUF", &conf::Listen::sndbuf},
};
constexpr OptionRow kTcp[] = {
    {IPPROTO_TCP, TCP_KEEPIDLE, "TCP_KEEPIDLE", &conf::Listen::keepidle},
    {IPPROTO_TCP, TCP_KEEPINTVL, "TCP_KEEPINTVL", &conf::Listen::keepintvl},
    {IPPROTO_TCP, TCP_KEEPCNT, "TCP_KEEPCNT", &conf::Listen::keepcnt},
    {IPPROTO_TCP, TCP_FASTOPEN, "TCP_FASTOPEN", &conf::Listen::fastopen},
};

template <size_t N>
void ApplyRows(int fd, const conf::Listen& listen, const OptionRow (&rows)[N], const Log& log) {
  for (const OptionRow& row : rows) {
    if (listen.*row.field == 0) continue;
    if (auto status = SetOption(fd, row.level, row.name, row.text, listen.*row.field); !status) {
      LIMPET_LOG(log, LogLevel::kAlert, "{}, ignored", status.error().message);
    }
  }
}

// A socket file that nobody listens on was left by a crash; one that answers is somebody's.
void UnlinkStale(const SocketAddress& address) {
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe || ::connect(probe.get(), address.get(), address.size()) == 0) return;
  if (errno != ECONNREFUSED) return;
  ::unlink(reinterpret_cast<const sockaddr_un*>(address.get())->sun_path);
}

Status PrepareBind(int fd, const conf::Listen& listen) {
  if (listen.address.is_unix()) {
    UnlinkStale(listen.address);
    return {};
  }
  if (auto status = SetOption(fd, SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR", 1); !status) {
    return status;
  }
  if (listen.reuseport) {
    if (auto status = AllowSharing(fd); !status) return status;
  }
  if (listen.address.family() != AF_INET6) return {};
  return SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY", listen.ipv6only ? 1 : 0);
}

UniqueFd MakeSocket(int family, int protocol) {
  return UniqueFd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
}

// A kernel without MPTCP, or one that has it turned off, gives plain TCP: clients speak that, too.
UniqueFd SocketFor(const conf::Listen& listen, const Log& log) {
  const int family = listen.address.family();
  if (!listen.multipath || listen.address.is_unix()) return MakeSocket(family, 0);
  if (UniqueFd fd = MakeSocket(family, IPPROTO_MPTCP)) return fd;
  LIMPET_LOG(log, LogLevel::kWarn, "\"multipath\" of {} is ignored: socket(IPPROTO_MPTCP) failed{}",
             listen.address.ToString(), ErrnoText(errno));
  return MakeSocket(family, 0);
}

}  // namespace

Status AllowSharing(int fd) { return SetOption(fd, SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT", 1); }

Result<UniqueFd> BindSocket(const conf::Listen& listen, const Log& log) {
  const SocketAddress& address = listen.address;
  UniqueFd fd = SocketFor(listen, log);
  if (!fd) return ErrnoError(fmt::format("socket() {} failed", address.ToString()), errno);
  if (auto status = PrepareBind(fd.get(), listen); !status) return status.error();
  if (::bind(fd.get(), address.get(), address.size()) != 0) {
    return ErrnoError(fmt::format("bind() to {} failed", address.ToString()), errno);
  }
  if (address.is_unix()) {
    // Who may connect is decided by the directory, as with nginx.
    ::chmod(reinterpret_cast<const sockaddr_un*>(address.get())->sun_path, 0666);
  }
  return fd;
}

Status StartListening(int fd, const conf::Listen& listen, const Log& log) {
  ApplyRows(fd, listen, kSizes, log);
  if (!listen.address.is_unix()) {
    ApplyRows(fd, listen, kTcp, log);
    (void)SetOption(fd, IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY", 1);  // accepted sockets inherit it
    const int keepalive = listen.so_keepalive;
    if (keepalive != 0) {
      (void)SetOption(fd, SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE", keepalive > 0 ? 1 : 0);
    }
    (void)SetOption(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, "TCP_DEFER_ACCEPT", listen.deferred ? 1 : 0);
  }
  if (::listen(fd, listen.backlog) == 0) return {};
  return ErrnoError(
      fmt::format("listen() to {}, backlog {} failed", listen.address.ToString(), listen.backlog),
      errno);
}

}  // namespace limpet::master
