#include "worker/http/proxy/upstream_lookup.h"

#include <algorithm>

#include "base/text.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/proxy/upstream_runtime.h"

namespace limpet::worker {
namespace {

std::string NameAndPort(const ProxyUrl& url) {
  std::string name(url.host);
  if (!url.port.empty()) name.append(":").append(url.port);
  return name;
}

conf::Upstream MakeConf(const ProxyUrl& url, std::vector<SocketAddress> addresses) {
  conf::Upstream conf;
  conf.name = NameAndPort(url);
  conf.implicit = true;
  conf::UpstreamServer server;
  server.name = conf.name;
  server.addresses = std::move(addresses);
  conf.servers.push_back(std::move(server));
  return conf;
}

// One peer for each address. Their failures are forgotten with the request, as in nginx: the next
// answer may name others.
conf::Upstream MakeResolvedConf(const ProxyUrl& url, std::vector<SocketAddress> addresses) {
  conf::Upstream conf = MakeConf(url, std::move(addresses));
  conf.servers.front().max_fails = 0;
  return conf;
}

}  // namespace

bool ParseProxyUrl(std::string_view text, ProxyUrl* out) {
  if (StartsWithIgnoreCase(text, "https://")) {
    out->https = true;
    text.remove_prefix(8);
  } else if (StartsWithIgnoreCase(text, "http://")) {
    text.remove_prefix(7);
  } else {
    return false;
  }
  if (text.starts_with("unix:")) {  // unix:/path:/uri
    const size_t end = text.find(':', 5);
    out->host = out->authority = text.substr(0, end);
    out->host_header = "localhost";
    out->uri = end == std::string_view::npos ? "" : text.substr(end + 1);
    return !out->host.empty();
  }
  const size_t end = text.find_first_of("/?#");
  const std::string_view authority = text.substr(0, end);
  out->uri = end == std::string_view::npos ? "" : text.substr(end);
  out->authority = authority;
  const size_t bracket = authority.rfind(']');
  const size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  out->host = authority.substr(0, colon);
  out->port =
      colon == std::string_view::npos ? (out->https ? "443" : "80") : authority.substr(colon + 1);
  out->host_header = PortOf(*out) == (out->https ? 443 : 80) ? out->host : authority;
  return !out->host.empty();
}

std::optional<uint16_t> PortOf(const ProxyUrl& url) {
  const auto port = ParseDecimal(url.port);
  if (!port || *port == 0 || *port > 65535) return std::nullopt;
  return static_cast<uint16_t>(*port);
}

UpstreamRuntime* FindUpstreamBlock(Runtime& runtime, const ProxyUrl& url) {
  const std::string name = NameAndPort(url);
  for (const auto& upstream : runtime.upstreams) {
    const conf::Upstream& conf = upstream->group.conf();
    // Also a group that another proxy_pass has made by naming a host and its port.
    const std::string_view wanted = conf.implicit ? std::string_view(name) : url.authority;
    if (EqualsIgnoreCase(conf.name, wanted)) return upstream.get();
  }
  return nullptr;
}

std::shared_ptr<UrlGroup> FindAddressGroup(Runtime& runtime, const ProxyUrl& url) {
  const std::string name = NameAndPort(url);
  if (auto known = runtime.url_groups.Find(name)) return known;
  const bool is_path = url.host.starts_with("unix:");
  const auto port = PortOf(url);
  if (!is_path && !port) return nullptr;
  auto address =
      is_path ? SocketAddress::Parse(url.host, 0) : SocketAddress::ParseIp(url.host, *port);
  if (!address) return nullptr;
  return runtime.url_groups.Make(name, MakeConf(url, {*address}));
}

std::shared_ptr<UrlGroup> FindResolvedGroup(Runtime& runtime, const ProxyUrl& url,
                                            const ResolveAnswer& answer) {
  // Clients may choose the name, and whoever answers for it how much each of their requests costs.
  constexpr size_t kMost = 256;
  std::vector<SocketAddress> addresses = answer.addresses;
  if (addresses.size() > kMost) addresses.resize(kMost);
  for (SocketAddress& address : addresses) address.set_port(*PortOf(url));
  const std::string name = "resolved " + ToLower(NameAndPort(url));
  if (auto known = runtime.url_groups.Find(name);
      known != nullptr && known->HasAddresses(addresses))
    return known;
  return runtime.url_groups.Make(name, MakeResolvedConf(url, std::move(addresses)));
}

Resolver* FindResolver(Runtime& runtime, const conf::Location& location) {
  return FindResolver(runtime, location.resolver.get());
}

Resolver* FindResolver(Runtime& runtime, const conf::Resolver* conf) {
  if (conf == nullptr || conf->servers.empty())
    return nullptr;  // resolver_timeout alone makes none
  auto& resolver = runtime.resolvers[conf];
  if (resolver != nullptr) return resolver.get();
  shm::ZoneLine* const counts =
      conf->status_zone < 0 ? nullptr : &runtime.zones.Own(conf->status_zone);
  resolver = std::make_unique<Resolver>(runtime.loop, *conf, counts);
  return resolver.get();
}

bool ChooseBindAddress(Exchange& exchange, const conf::ProxySettings& proxy, SocketAddress* address,
                       ConnectOptions* options) {
  if (!proxy.bind) return true;
  const std::string_view text = exchange.Evaluate(*proxy.bind);
  if (text.empty() || text == "off") return true;
  auto parsed = SocketAddress::Parse(text, 1);
  if (parsed && text.find(':') == std::string_view::npos) parsed->set_port(0);
  if (!parsed) parsed = SocketAddress::ParseIp(text, 0);
  if (!parsed) {
    exchange.Log(LogLevel::kError, fmt::format("invalid local address \"{}\"", text));
    return true;  // nginx connects all the same
  }
  *address = *parsed;
  options->bind = address;
  options->transparent = proxy.bind_transparent;
  return true;
}

}  // namespace limpet::worker
