// set_real_ip_from, real_ip_header, real_ip_recursive.
#include <array>

#include "conf/loader.h"
#include "conf/setting.h"
#include "conf/tables.h"

namespace limpet::conf {
namespace {

RealIp& Of(Block& b) { return b.location->access.real_ip; }

// A name stands for all its addresses.
Status AddHost(const std::string& host, std::vector<Cidr>* from) {
  const Result<std::vector<SocketAddress>> found = SocketAddress::Resolve(host, 0);
  if (!found || found->empty())
    return InvalidArgument(fmt::format("host not found in set_real_ip_from \"{}\"", host));
  for (const SocketAddress& address : *found) {
    from->push_back({.network = address, .bits = address.family() == AF_INET ? 32 : 128});
  }
  return {};
}

Status From(Block& b, const Directive& d) {
  RealIp& real_ip = Of(b);
  if (b.First(&real_ip.from)) {
    real_ip.from.clear();
    real_ip.from_unix = false;
  }
  const std::string& text = d.args[0];
  if (text == "unix:") {
    real_ip.from_unix = true;
    return {};
  }
  bool host_bits = false;
  const Result<Cidr> network = Cidr::Parse(text, &host_bits);
  if (!network)
    return text.find('/') == std::string::npos ? AddHost(text, &real_ip.from)
                                               : InvalidParameter(text);
  if (host_bits) b.loader.Warn(d, fmt::format("low address bits of {} are meaningless", text));
  real_ip.from.push_back(*network);
  return {};
}

Status Header(Block& b, const Directive& d) {
  RealIp& real_ip = Of(b);
  const std::string& name = d.args[0];
  real_ip.header.clear();
  if (name == "X-Real-IP") {
    real_ip.source = RealIp::Source::kXRealIp;
  } else if (name == "X-Forwarded-For") {
    real_ip.source = RealIp::Source::kXForwardedFor;
  } else if (name == "proxy_protocol") {
    real_ip.source = RealIp::Source::kProxyProtocol;
  } else {
    real_ip.source = RealIp::Source::kHeader;
    real_ip.header = name;
  }
  return {};
}

Status Recursive(Block& b, const Directive& d) { return Flag{}(b, d, d.args[0], Of(b).recursive); }

constexpr uint32_t kHere = kHttpServerLocation;

constexpr std::array kRows = std::to_array<Row>({
    {"set_real_ip_from", kHere, kOneArg, kMany, From, "",
     "ADDRESS | NETWORK | NAME | unix:: a proxy that is believed"},
    {"real_ip_header", kHere, kOneArg, kOnce, Header, "X-Real-IP",
     "header field with the client's address, or proxy_protocol"},
    {"real_ip_recursive", kHere, kOneArg, kOnce, Recursive, "off",
     "look behind several proxies that are believed"},
});

}  // namespace

constinit const std::span<const Row> kRealIpDirectives = kRows;

}  // namespace limpet::conf
