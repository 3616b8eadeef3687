#include "worker/http/upstream_lookup.h"

#include "base/text.h"
#include "worker/http/exchange.h"
#include "worker/http/upstream_runtime.h"

namespace limpet::worker {

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
    out->host = out->host_header = text.substr(0, end);
    out->host_header = "localhost";
    out->uri = end == std::string_view::npos ? "" : text.substr(end + 1);
    return !out->host.empty();
  }
  const size_t end = text.find_first_of("/?");
  const std::string_view authority = text.substr(0, end);
  out->uri = end == std::string_view::npos ? "" : text.substr(end);
  out->host_header = authority;
  const size_t bracket = authority.rfind(']');
  const size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  out->host = authority.substr(0, colon);
  out->port = colon == std::string_view::npos ? (out->https ? "443" : "80") : authority.substr(colon + 1);
  return !out->host.empty();
}

UpstreamRuntime* FindUpstreamByUrl(Runtime& runtime, const ProxyUrl& url) {
  for (const auto& upstream : runtime.upstreams) {
    const conf::Upstream& conf = upstream->group.conf();
    if (!conf.implicit && EqualsIgnoreCase(conf.name, url.host_header)) return upstream.get();
  }
  std::string name(url.host);
  if (!url.port.empty()) name.append(":").append(url.port);
  const auto known = runtime.ad_hoc.find(name);
  if (known != runtime.ad_hoc.end()) return known->second.runtime.get();

  const auto port = ParseDecimal(url.port);
  auto address = url.host.starts_with("unix:") ? SocketAddress::Parse(url.host, 0)
                                               : SocketAddress::ParseIp(url.host, port ? static_cast<uint16_t>(*port) : 80);
  if (!address || (port && (*port == 0 || *port > 65535))) return nullptr;
  if (runtime.ad_hoc.size() >= Runtime::kMaxAdHoc) return nullptr;
  auto conf = std::make_unique<conf::Upstream>();
  conf->name = name;
  conf->implicit = true;
  conf::UpstreamServer server;
  server.name = name;
  server.addresses = {*address};
  conf->servers.push_back(std::move(server));
  auto made = std::make_unique<UpstreamRuntime>(runtime.loop, *conf, nullptr, runtime.slot, nullptr, nullptr);
  UpstreamRuntime* result = made.get();
  runtime.ad_hoc.emplace(name, Runtime::AdHoc{std::move(conf), std::move(made)});
  return result;
}

bool ChooseBindAddress(Exchange& exchange, const conf::ProxySettings& proxy, SocketAddress* address, ConnectOptions* options) {
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
