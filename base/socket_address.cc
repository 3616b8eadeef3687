#include "base/socket_address.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netdb.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <memory>

#include "base/text.h"

namespace limpet {

SocketAddress::SocketAddress(const sockaddr* address, socklen_t size)
    : size_(std::min<socklen_t>(size, sizeof storage_)) {
  std::memcpy(&storage_, address, size_);
}

SocketAddress SocketAddress::Any(int family, uint16_t port) {
  SocketAddress out;
  out.storage_.base.sa_family = static_cast<sa_family_t>(family);
  out.size_ = family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  out.set_port(port);
  return out;
}

SocketAddress SocketAddress::Unix(std::string_view path) {
  SocketAddress out;
  out.storage_.un.sun_family = AF_UNIX;
  path = path.substr(0, sizeof out.storage_.un.sun_path - 1);
  std::memcpy(out.storage_.un.sun_path, path.data(), path.size());
  out.size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return out;
}

namespace {

// Four decimal numbers. Unlike inet_pton it takes zeros in front of them, as some proxies write
// them; never are they octal.
bool ParseDottedQuad(std::string_view text, in_addr* out) {
  uint32_t ip = 0, octet = 0, dots = 0, digits = 0;
  for (const char c : text) {
    if (c == '.' && digits > 0 && dots < 3) {
      ip = ip << 8 | octet;
      octet = digits = 0;
      ++dots;
    } else if (IsDigit(c)) {
      octet = octet * 10 + static_cast<uint32_t>(c - '0');
      ++digits;
      if (octet > 255) return false;
    } else {
      return false;
    }
  }
  out->s_addr = htonl(ip << 8 | octet);
  return dots == 3 && digits > 0;
}

}  // namespace

Result<SocketAddress> SocketAddress::ParseIp(std::string_view text, uint16_t port) {
  std::string host(text);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  SocketAddress out = Any(AF_INET, port);
  if (ParseDottedQuad(host, &out.storage_.v4.sin_addr)) return out;
  out = Any(AF_INET6, port);
  if (::inet_pton(AF_INET6, host.c_str(), &out.storage_.v6.sin6_addr) == 1) return out;
  return InvalidArgument(fmt::format("invalid address \"{}\"", text));
}

Result<SocketAddress> SocketAddress::Parse(std::string_view text, uint16_t default_port) {
  if (text.starts_with("unix:")) {
    const std::string_view path = text.substr(5);
    if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path)) {
      return InvalidArgument(fmt::format("invalid unix path in \"{}\"", text));
    }
    return Unix(path);
  }
  const size_t bracket = text.rfind(']');
  const size_t colon = text.find(':', bracket == std::string_view::npos ? 0 : bracket);
  uint16_t port = default_port;
  if (colon != std::string_view::npos) {
    const auto number = ParseDecimal(text.substr(colon + 1));
    if (!number || *number == 0 || *number > 65535) {
      return InvalidArgument(fmt::format("invalid port in \"{}\"", text));
    }
    port = static_cast<uint16_t>(*number);
  }
  if (port == 0) return InvalidArgument(fmt::format("no port in \"{}\"", text));
  return ParseIp(text.substr(0, colon), port);
}

Result<std::vector<SocketAddress>> SocketAddress::Resolve(const std::string& host, uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_family = AF_UNSPEC;
  addrinfo* list = nullptr;
  const int rc = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (rc != 0)
    return InvalidArgument(fmt::format("host not found: \"{}\" ({})", host, ::gai_strerror(rc)));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> guard(list, ::freeaddrinfo);
  std::vector<SocketAddress> out;
  for (const int family : {AF_INET, AF_INET6}) {
    for (const addrinfo* a = list; a != nullptr; a = a->ai_next) {
      if (a->ai_family != family) continue;
      out.emplace_back(a->ai_addr, static_cast<socklen_t>(a->ai_addrlen));
      out.back().set_port(port);
    }
  }
  return out;
}

uint16_t SocketAddress::port() const {
  if (family() == AF_INET) return ntohs(storage_.v4.sin_port);
  return family() == AF_INET6 ? ntohs(storage_.v6.sin6_port) : 0;
}

void SocketAddress::set_port(uint16_t port) {
  if (family() == AF_INET) storage_.v4.sin_port = htons(port);
  if (family() == AF_INET6) storage_.v6.sin6_port = htons(port);
}

std::string_view SocketAddress::ip_bytes() const {
  if (family() == AF_INET) return {reinterpret_cast<const char*>(&storage_.v4.sin_addr), 4};
  if (family() == AF_INET6) return {reinterpret_cast<const char*>(&storage_.v6.sin6_addr), 16};
  if (size_ <= offsetof(sockaddr_un, sun_path)) return {};
  return {storage_.un.sun_path,
          ::strnlen(storage_.un.sun_path, size_ - offsetof(sockaddr_un, sun_path))};
}

bool SocketAddress::is_wildcard() const {
  if (is_unix()) return false;
  return ip_bytes().find_first_not_of('\0') == std::string_view::npos;
}

std::string SocketAddress::HostString() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (family() == AF_INET) {  // once a connection: inet_ntop() and fmt::format() are slow
    const auto* ip = reinterpret_cast<const uint8_t*>(&storage_.v4.sin_addr);
    char* end = text;
    for (int i = 0; i < 4; ++i) {
      if (i > 0) *end++ = '.';
      end = std::to_chars(end, std::end(text), ip[i]).ptr;
    }
    return {text, end};
  }
  if (family() == AF_INET6) ::inet_ntop(AF_INET6, &storage_.v6.sin6_addr, text, sizeof text);
  return is_unix() ? "unix:" : text;
}

std::string SocketAddress::ToString() const {
  if (is_unix()) return fmt::format("unix:{}", ip_bytes());
  if (family() == AF_INET6) return fmt::format("[{}]:{}", HostString(), port());
  return fmt::format("{}:{}", HostString(), port());
}

bool operator==(const SocketAddress& a, const SocketAddress& b) {
  return a.family() == b.family() && a.port() == b.port() && a.ip_bytes() == b.ip_bytes();
}

}  // namespace limpet
