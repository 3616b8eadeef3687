#include "base/syslog.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "base/clock.h"

namespace limpet {

Result<Syslog> Syslog::To(const SyslogSpec& spec) {
  const auto address = SocketAddress::Parse(spec.server, 514);
  if (!address) return address.error();
  return Syslog(spec, *address);
}

Syslog::Syslog(const SyslogSpec& spec, const SocketAddress& server) : spec_(spec), server_(server) {
  char name[256] = "localhost";
  if (spec_.hostname) ::gethostname(name, sizeof name - 1);
  host_ = name;
}

Syslog::Sent Syslog::Send(LogLevel level, std::string_view message) {
  if (!fd_) {
    if (const Sent connected = Connect(); connected.errnum != 0) return connected;
  }
  const int priority = spec_.facility * 8 + static_cast<int>(level) - 1;
  const std::string line =
      fmt::format("<{}>{} {}{}{}: {}", priority, FormatSyslogTime(Now().seconds),
                  spec_.hostname ? host_ : "", spec_.hostname ? " " : "", spec_.tag, message);
  if (::send(fd_.get(), line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return {};
  const int errnum = errno;
  if (errnum != EAGAIN) fd_.Reset();
  return {errnum, "send()"};
}

Syslog::Sent Syslog::Connect() {
  UniqueFd fd(::socket(server_.family(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return {errno, "socket()"};
  if (::connect(fd.get(), server_.get(), server_.size()) != 0) return {errno, "connect()"};
  fd_ = std::move(fd);
  return {};
}

}  // namespace limpet
