// An IPv4, IPv6 or Unix-domain address with its port, as a value.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace limpet {

class SocketAddress {
 public:
  SocketAddress() = default;
  SocketAddress(const sockaddr* address, socklen_t size);

  static SocketAddress Any(int family, uint16_t port);
  static SocketAddress Unix(std::string_view path);  // the caller has checked that the path fits

  // "127.0.0.1", "[::1]" or "::1"; no names. Nothing but the address may stand in `text`.
  static Result<SocketAddress> ParseIp(std::string_view text, uint16_t port);
  // "127.0.0.1:80", "[::1]:80", "unix:/path"; the port may be left out if default_port is not 0.
  static Result<SocketAddress> Parse(std::string_view text, uint16_t default_port);
  // Asks the system resolver (blocking: at configuration load only). IPv4 answers stand before IPv6
  // ones.
  static Result<std::vector<SocketAddress>> Resolve(const std::string& host, uint16_t port);

  int family() const { return storage_.base.sa_family; }
  bool is_unix() const { return family() == AF_UNIX; }
  bool is_wildcard() const;  // 0.0.0.0 or [::]
  const sockaddr* get() const { return &storage_.base; }
  sockaddr* get() { return &storage_.base; }
  socklen_t size() const { return size_; }
  void set_size(socklen_t size) { size_ = size; }
  socklen_t capacity() const { return sizeof storage_; }
  uint16_t port() const;
  void set_port(uint16_t port);

  // The address's bytes in network order: 4 or 16; for Unix sockets its text.
  std::string_view ip_bytes() const;

  std::string ToString() const;    // "127.0.0.1:80", "[::1]:80", "unix:/path"
  std::string HostString() const;  // "127.0.0.1", "::1", "unix:" as nginx's $remote_addr

  friend bool operator==(const SocketAddress& a, const SocketAddress& b);

 private:
  // `{}` sets the first member of a union and, by the standard, no byte behind it: the first member
  // is all of them, as what goes to the kernel and into comparisons may not be what the stack held.
  union Storage {
    unsigned char bytes[112];
    sockaddr base;
    sockaddr_in v4;
    sockaddr_in6 v6;
    sockaddr_un un;
  };
  static_assert(sizeof(Storage) == sizeof(Storage::bytes));
  Storage storage_{};
  socklen_t size_ = 0;
};

}  // namespace limpet
