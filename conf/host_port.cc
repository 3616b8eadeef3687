#include "conf/host_port.h"

#include "base/socket_address.h"
#include "base/text.h"

namespace limpet::conf {
namespace {

Result<HostPort> ParseUnix(std::string_view text, bool uri_allowed) {
  HostPort out;
  out.is_unix = true;
  const size_t colon = text.find(':');
  if (colon != std::string_view::npos && !uri_allowed) return InvalidArgument("invalid host");
  out.host = text.substr(0, colon);
  if (colon != std::string_view::npos) out.uri = text.substr(colon + 1);
  if (out.host.empty()) return InvalidArgument("no path in the unix domain socket");
  if (out.host.size() + 1 > sizeof(sockaddr_un::sun_path)) {
    return InvalidArgument("too long path in the unix domain socket");
  }
  return out;
}

Status ParsePort(std::string_view text, HostPort* out) {
  const auto port = ParseDecimal(text);
  if (!port || *port < 1 || *port > 65535) return InvalidArgument("invalid port");
  out->port = static_cast<uint16_t>(*port);
  out->port_text = text;
  out->has_port = true;
  return {};
}

// The length of the host in front of `:port`, brackets included.
Result<size_t> HostLength(std::string_view text) {
  if (!text.starts_with('[')) return std::min(text.find(':'), text.size());
  const size_t end = text.find(']');
  if (end == std::string_view::npos || end == 1) return InvalidArgument("invalid host");
  if (!SocketAddress::ParseIp(text.substr(0, end + 1), 0))
    return InvalidArgument("invalid IPv6 address");
  return end + 1;
}

}  // namespace

std::string HostPort::name() const {
  if (is_unix) return "unix:" + host;
  return has_port ? host + ':' + port_text : host;
}

Result<HostPort> ParseHostPort(std::string_view text, uint16_t default_port, bool uri_allowed) {
  if (StartsWithIgnoreCase(text, "unix:")) return ParseUnix(text.substr(5), uri_allowed);
  HostPort out;
  out.port = default_port;
  const size_t uri = text.find_first_of("/?");
  if (uri != std::string_view::npos) {
    if (!uri_allowed) return InvalidArgument("invalid host");
    out.uri = text.substr(uri);
    text = text.substr(0, uri);
  }
  const Result<size_t> length = HostLength(text);
  if (!length) return length.error();
  out.host = text.substr(0, *length);
  text.remove_prefix(*length);
  if (!text.empty()) {
    if (text.front() != ':') return InvalidArgument("invalid host");
    if (Status s = ParsePort(text.substr(1), &out); !s) return s.error();
  }
  if (out.host.empty()) return InvalidArgument("no host");
  return out;
}

}  // namespace limpet::conf
