#include "conf/listen_parser.h"

#include <fmt/core.h>
#include <unistd.h>

#include "conf/host_port.h"
#include "conf/setting.h"

namespace limpet::conf {
namespace {

struct PortRange {
  uint16_t first = 80;
  uint16_t last = 80;
};

Result<uint16_t> ParsePort(std::string_view text) {
  const auto port = ParseDecimal(text);
  if (!port || *port < 1 || *port > 65535) return InvalidArgument("invalid port");
  return static_cast<uint16_t>(*port);
}

Result<PortRange> ParseRange(std::string_view text) {
  const size_t dash = text.find('-');
  const Result<uint16_t> first = ParsePort(text.substr(0, dash));
  if (!first) return first.error();
  if (dash == std::string_view::npos) return PortRange{*first, *first};
  const Result<uint16_t> last = ParsePort(text.substr(dash + 1));
  if (!last) return last.error();
  if (*last < *first) return InvalidArgument("invalid port range");
  return PortRange{*first, *last};
}

bool IsPortsOnly(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789-") == std::string_view::npos;
}

Result<std::vector<SocketAddress>> HostAddresses(const std::string& host) {
  if (host.empty()) return InvalidArgument("no host");
  if (host == "*") return std::vector{SocketAddress::Any(AF_INET, 0)};
  if (const Result<SocketAddress> ip = SocketAddress::ParseIp(host, 0)) return std::vector{*ip};
  if (host.starts_with('[')) return InvalidArgument("invalid IPv6 address");
  if (host.find('/') != std::string::npos) return InvalidArgument("invalid host");
  Result<std::vector<SocketAddress>> found = SocketAddress::Resolve(host, 0);
  if (!found || found->empty()) return InvalidArgument("host not found");
  return found;
}

Result<std::vector<SocketAddress>> ListenAddresses(const std::string& text) {
  if (StartsWithIgnoreCase(text, "unix:")) {
    const Result<HostPort> path = ParseHostPort(text, 0, false);
    if (!path) return path.error();
    return std::vector{SocketAddress::Unix(path->host)};
  }
  std::string host = "*";
  std::string ports = text;
  if (!IsPortsOnly(text)) {
    const size_t bracket = text.starts_with('[') ? text.find(']') : 0;
    const size_t colon = bracket == std::string::npos ? bracket : text.find(':', bracket);
    host = text.substr(0, colon);
    ports = colon == std::string::npos ? "80" : text.substr(colon + 1);
  }
  const Result<PortRange> range = ParseRange(ports);
  if (!range) return range.error();
  const Result<std::vector<SocketAddress>> hosts = HostAddresses(host);
  if (!hosts) return hosts.error();
  std::vector<SocketAddress> out;
  for (SocketAddress address : *hosts) {
    for (int port = range->first; port <= range->last; ++port) {
      address.set_port(static_cast<uint16_t>(port));
      out.push_back(address);
    }
  }
  return out;
}

// so_keepalive=on|off|[idle]:[interval]:[count]
bool ParseKeepalive(std::string_view text, Listen* listen) {
  if (text == "on" || text == "off") {
    listen->so_keepalive = text == "on" ? 1 : -1;
    return true;
  }
  const std::vector<std::string_view> parts = Split(text, ':');
  if (parts.size() > 3) return false;
  int* const fields[] = {&listen->keepidle, &listen->keepintvl, &listen->keepcnt};
  bool any = false;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].empty()) continue;
    int64_t value = 0;
    if (i < 2) {
      const auto time = ParseTime(parts[i], true);
      if (!time) return false;
      value = time->count() / 1000;
    } else {
      value = static_cast<int64_t>(ParseDecimal(parts[i]).value_or(0));
    }
    if (value < 1 || value > INT32_MAX) return false;
    *fields[i] = static_cast<int>(value);
    any = true;
  }
  listen->so_keepalive = 1;
  return any;
}

bool IntParameter(const std::string& text, std::string_view name, bool with_units, int* out,
                  Status* s) {
  const auto value = After(text, name);
  if (!value) return false;
  const auto n = with_units ? ParseSizeUnits(*value, false) : [&]() -> std::optional<int64_t> {
    const auto plain = ParseDecimal(*value);
    return plain ? std::optional(static_cast<int64_t>(*plain)) : std::nullopt;
  }();
  const int least = name == "backlog=" ? 1 : 0;
  if (n && *n >= least && *n <= INT32_MAX) {
    *out = static_cast<int>(*n);
  } else {
    const std::string_view what = name.substr(0, name.size() - 1);
    *s = InvalidArgument(
        with_units ? fmt::format("invalid {} \"{}\": a size is 100, 10k or 1m", what, text)
                   : fmt::format("invalid {} \"{}\": the number is {} to {}", what, text, least,
                                 INT32_MAX));
  }
  return true;
}

// True if `text` is an option of the socket itself; such options need a socket of this address's
// own.
bool SocketOption(const std::string& text, Listen* l, Status* s) {
  if (text == "bind") return true;
  if (text == "deferred") return l->deferred = true;
  if (text == "reuseport") return l->reuseport = true;
  if (text == "multipath") return l->multipath = true;
  if (IntParameter(text, "backlog=", false, &l->backlog, s)) return true;
  if (IntParameter(text, "fastopen=", false, &l->fastopen, s)) return true;
  if (IntParameter(text, "rcvbuf=", true, &l->rcvbuf, s)) return true;
  if (IntParameter(text, "sndbuf=", true, &l->sndbuf, s)) return true;
  if (const auto value = After(text, "ipv6only=")) {
    l->ipv6only = *value == "on";
    if (*value != "on" && *value != "off")
      *s = InvalidArgument(fmt::format("invalid ipv6only flags \"{}\": it is on or off", *value));
    return true;
  }
  if (const auto value = After(text, "so_keepalive=")) {
    if (!ParseKeepalive(*value, l))
      *s = InvalidArgument(fmt::format("invalid so_keepalive value: \"{}\"", *value));
    return true;
  }
  return false;
}

Status Option(const std::string& text, Listen* l) {
  Status s;
  if (SocketOption(text, l, &s)) {
    l->bind = true;
  } else if (After(text, "accept_filter=")) {  // of other systems: ignored
  } else if (text == "default_server" || text == "default") {
    l->default_server = true;
  } else if (text == "ssl") {
    l->ssl = true;
  } else if (text == "proxy_protocol") {
    l->proxy_protocol = true;
  } else if (text == "http2") {
    l->http2 = true;
  } else if (text == "quic") {
    return InvalidArgument("the \"quic\" parameter requires ngx_http_v3_module");
  } else {
    return InvalidParameter(text);
  }
  return s;
}

}  // namespace

Result<std::vector<Listen>> ParseListen(const Directive& d) {
  const Result<std::vector<SocketAddress>> addresses = ListenAddresses(d.args[0]);
  if (!addresses) {
    return InvalidArgument(fmt::format("{} in \"{}\" of the \"listen\" directive",
                                       addresses.error().message, d.args[0]));
  }
  Listen listen;
  listen.text = d.args[0];
  listen.declared_at = Where(d);
  for (size_t i = 1; i < d.args.size(); ++i) {
    if (Status s = Option(d.args[i], &listen); !s) return s.error();
  }
  std::vector<Listen> out;
  for (const SocketAddress& address : *addresses) {
    listen.address = address;
    out.push_back(listen);
  }
  return out;
}

Listen DefaultListen() {
  Listen listen;
  listen.address = SocketAddress::Any(AF_INET, getuid() == 0 ? 80 : 8000);
  listen.text = "*";
  return listen;
}

}  // namespace limpet::conf
