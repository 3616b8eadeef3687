#include "conf/upstream_server.h"

#include <fmt/core.h>

#include <algorithm>

#include "conf/loader.h"
#include "conf/near_miss.h"
#include "conf/setting.h"

namespace limpet::conf {
namespace {

constexpr size_t kMaxRoute = 32;

Status Count(const std::string& parameter, std::string_view value, uint64_t low, int* out) {
  const auto n = ParseDecimal(value);
  if (!n || *n < low || *n > INT32_MAX) return InvalidCount(parameter, low, INT32_MAX);
  *out = static_cast<int>(*n);
  return {};
}

Status Time(const std::string& parameter, std::string_view value, Ms* out) {
  const auto time = ParseTime(value, true);
  if (!time) return InvalidParameter(parameter, "a time in whole seconds is 30s, 1h30m or 30");
  *out = *time;
  return {};
}

Status Route(std::string_view value, std::string* out) {
  if (value.empty()) return InvalidArgument("route is empty");
  if (value.size() > kMaxRoute)
    return InvalidArgument(fmt::format("route is longer than {}: \"{}\"", kMaxRoute, value));
  *out = value;
  return {};
}

Status Service(std::string_view value, std::string* out) {
  if (value.empty()) return InvalidArgument("service is empty");
  *out = value;
  return {};
}

Status Move(const std::string& parameter, std::string_view value, int* out) {
  const auto rate = ParsePerSecond(value);
  if (!rate)
    return InvalidParameter(parameter, "it is sessions a second, as 20/s, at most 1000000/s");
  *out = *rate;
  return {};
}

Status Word(const std::string& word, UpstreamServer* s) {
  if (word == "backup") {
    s->backup = true;
  } else if (word == "down") {
    s->down = true;
    s->drain = false;  // of the two, nginx takes the later one
  } else if (word == "drain") {
    s->drain = true;
    s->down = false;
  } else if (word == "resolve") {
    s->resolve = true;
  } else {
    return InvalidParameter(word);
  }
  return {};
}

Status Parameter(const std::string& text, UpstreamServer* s) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos) return Word(text, s);
  const std::string_view name = std::string_view(text).substr(0, equals);
  const std::string_view value = std::string_view(text).substr(equals + 1);
  if (name == "weight") return Count(text, value, 1, &s->weight);
  if (name == "max_conns") return Count(text, value, 0, &s->max_conns);
  if (name == "max_fails") return Count(text, value, 0, &s->max_fails);
  if (name == "fail_timeout") return Time(text, value, &s->fail_timeout);
  if (name == "slow_start") return Time(text, value, &s->slow_start);
  if (name == "route" || name == "sid") return Route(value, &s->route);
  if (name == "service") return Service(value, &s->service);
  if (name == "drain") {
    const auto drain = ParseDrainTime(value);
    if (!drain) return InvalidParameter(text, "it is a time above 0, as 30m, or 30m,keep");
    s->drain_timeout = drain->time;
    s->drain_keeps = drain->keeps;
    return Word("drain", s);
  }
  if (name == "move") return Move(text, value, &s->drain_move);
  return InvalidParameter(text);
}

Status CheckService(const UpstreamServer& s, const HostPort& address) {
  if (s.service.empty()) return {};
  if (!s.resolve) {
    return InvalidArgument(
        fmt::format("service upstream \"{}\" requires \"resolve\" parameter", s.name));
  }
  if (address.has_port)
    return InvalidArgument(fmt::format("service upstream \"{}\" may not have port", s.name));
  if (address.is_unix || SocketAddress::ParseIp(address.host, 0)) {
    return InvalidArgument(fmt::format("service upstream \"{}\" requires domain name", s.name));
  }
  return {};
}

Error InUpstream(const Error& error, std::string_view name) {
  return InvalidArgument(fmt::format("{} in upstream \"{}\"", error.message, name));
}

}  // namespace

Result<std::vector<SocketAddress>> FindAddresses(const HostPort& address) {
  if (address.is_unix) return std::vector{SocketAddress::Unix(address.host)};
  if (const Result<SocketAddress> ip = SocketAddress::ParseIp(address.host, address.port))
    return std::vector{*ip};
  if (address.host.starts_with('[')) return InvalidArgument("invalid host");
  Result<std::vector<SocketAddress>> found = SocketAddress::Resolve(address.host, address.port);
  if (!found || found->empty()) return InvalidArgument("host not found");
  return found;
}

Result<UpstreamServer> ParseUpstreamServer(Block&, const Directive& d) {
  UpstreamServer server;
  server.name = d.args[0];
  for (size_t i = 1; i < d.args.size(); ++i) {
    if (Status s = Parameter(d.args[i], &server); !s) return s.error();
  }
  if (server.drain_move > 0 && !server.drain)
    return InvalidArgument(
        fmt::format("\"move\" goes with \"drain\" only, in server \"{}\"", server.name));
  const Result<HostPort> address = ParseHostPort(server.name, 80, false);
  if (!address) return InUpstream(address.error(), server.name);
  if (Status s = CheckService(server, *address); !s) return s.error();
  server.port = address->port;
  const bool is_name = !address->is_unix && !SocketAddress::ParseIp(address->host, 0);
  if (server.resolve && is_name) {
    server.host = address->host;
    return server;
  }
  Result<std::vector<SocketAddress>> found = FindAddresses(*address);
  if (!found) return InUpstream(found.error(), server.name);
  server.addresses = std::move(*found);
  return server;
}

Result<int> FindOrMakeUpstream(Block& b, const Directive& d, const HostPort& address) {
  const auto& blocks = b.loader.upstream_blocks;
  if (const auto it = blocks.find(ToLower(address.host)); it != blocks.end() && !address.is_unix) {
    if (!address.has_port) return it->second;
    return InvalidArgument(
        fmt::format("upstream \"{}\" may not have port {}", address.host, address.port));
  }
  const std::string key =
      ToLower(address.is_unix ? address.name() : fmt::format("{}:{}", address.host, address.port));
  const auto [it, is_new] =
      b.loader.implicit_upstreams.emplace(key, static_cast<int>(b.http->upstreams.size()));
  if (!is_new) return it->second;

  Result<std::vector<SocketAddress>> found = FindAddresses(address);
  if (!found) {
    NearMiss near(address.host);
    for (const auto& [name, index] : blocks) near.Offer(name);
    Error error = InUpstream(found.error(), address.name());
    error.message += near.Hint();
    return error;
  }
  auto upstream = std::make_unique<Upstream>();
  upstream->name = address.name();
  upstream->index = it->second;
  upstream->implicit = true;
  upstream->declared_at = Where(d);
  upstream->keepalive = 0;  // nginx keeps connections of upstream blocks only
  UpstreamServer server;
  server.name = upstream->name;
  server.port = address.port;
  server.addresses = std::move(*found);
  upstream->servers.push_back(std::move(server));
  b.http->upstreams.push_back(std::move(upstream));
  return it->second;
}

Status InheritResolvers(Http& http, const std::shared_ptr<const Resolver>& of_http) {
  const Resolver outer = of_http ? *of_http : Resolver();
  for (const auto& upstream : http.upstreams) {
    if (std::ranges::none_of(upstream->servers, &UpstreamServer::is_resolved)) continue;
    auto resolver = std::make_shared<Resolver>(upstream->resolver ? *upstream->resolver : outer);
    if (resolver->timeout == kInheritedTimeout) resolver->timeout = outer.timeout;
    if (resolver->servers.empty()) {
      const Ms timeout = resolver->timeout;
      *resolver = outer;
      resolver->timeout = timeout;
    }
    if (resolver->servers.empty()) {
      return InvalidArgument(
          fmt::format("no resolver defined to resolve names at run time in upstream \"{}\" in {}",
                      upstream->name, upstream->declared_at));
    }
    // One that is http's whole is http's: its answers are shared with the locations.
    upstream->resolver = upstream->resolver ? resolver : of_http;
  }
  return {};
}

}  // namespace limpet::conf
