// What can only be checked and put together once the whole http block is read.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "conf/all_locations.h"
#include "conf/loader.h"
#include "conf/named_stores.h"
#include "conf/rebalance.h"
#include "conf/session_zone.h"
#include "conf/status_zones.h"
#include "conf/taken_names.h"

namespace limpet::conf {
namespace {

// An address as a key: groups are found without walking over all of them.
std::string Key(const SocketAddress& address) { return address.ToString(); }

std::string Conflict(const ServerName& name, const Listen& listen, const std::string& place) {
  return fmt::format("[warn] conflicting server name \"{}\" on {}, ignored in {}", name.source,
                     listen.address.ToString(), place);
}

void WarnAboutNames(Config& config, const ListenGroup& group) {
  if (group.servers.size() == 1) return;  // whatever its names, it gets all
  TakenNames taken;
  for (const Server* server : group.servers) {
    if (server->names.empty() && !taken.Take(kNameless)) {
      config.warnings.push_back(Conflict(kNameless, group.listen, server->declared_at));
    }
    for (const ServerName& name : server->names) {
      if (!taken.Take(name))
        config.warnings.push_back(Conflict(name, group.listen, name.declared_at));
    }
  }
}

// Of one that fits no host: whether nginx refuses it, too, where it looks at names.
bool IsRefused(const ServerName& name) {
  const std::string& text = name.source;
  return !text.starts_with('.') || std::count(text.begin(), text.end(), '*') > 1 ||
         text.find("..") != std::string::npos;
}

// nginx looks at names only where there are several servers to choose from. Elsewhere a misplaced
// asterisk does no harm.
Status CheckNames(Config& config, const Http& http) {
  std::set<const ServerName*> told;
  for (const ListenGroup& group : http.listens) {
    for (const Server* server : group.servers) {
      for (const ServerName& name : server->names) {
        if (name.kind != ServerName::Kind::kNone) continue;
        if (group.servers.size() > 1 && IsRefused(name)) {
          return InvalidArgument(fmt::format("invalid server name or wildcard \"{}\" on {} in {}",
                                             name.source, group.listen.address.ToString(),
                                             name.declared_at));
        }
        if (!told.insert(&name).second) continue;
        config.warnings.push_back(
            fmt::format("[warn] invalid server name or wildcard \"{}\": it fits no host in {}",
                        name.source, name.declared_at));
      }
    }
  }
  return {};
}

// Once for each line of the configuration, however many locations inherit it.
void WarnAboutFraming(Config& config, const Location& location, std::set<std::string>* told) {
  const ProxySettings& proxy = location.proxy;
  if (!proxy.pass.set || (!proxy.pass_request_body && !proxy.set_body)) return;
  for (const SetHeader& header : proxy.set_headers) {
    if (header.declared_at.empty() || !told->insert(header.declared_at).second) continue;
    config.warnings.push_back(
        fmt::format("[warn] \"proxy_set_header {}\" has no effect on requests with a body: it says "
                    "how the body is framed in {}",
                    header.name, header.declared_at));
  }
}

void WarnAboutFraming(Config& config, const Http& http) {
  std::set<std::string> told;
  for (const Location* location : AllLocations(http)) WarnAboutFraming(config, *location, &told);
}

Error AtListen(const Listen& listen, std::string_view what) {
  return InvalidArgument(
      fmt::format("{} {} in {}", what, listen.address.ToString(), listen.declared_at));
}

// What an address speaks, as its lines have said so far. nginx's rules for a warning: a line with
// options of the socket counts for all lines, and of the others each second one may be the odd one.
struct SaidProtocols {
  unsigned bits = 0;
  bool is_set = false;
  bool changed = false;
};

unsigned ProtocolsOf(const Listen& listen) {
  return (listen.proxy_protocol ? 1u : 0u) | (listen.ssl ? 2u : 0u) | (listen.http2 ? 4u : 0u);
}

// `before`: what the lines together have said. True: this line says something else.
bool AreRedefined(SaidProtocols& said, const Listen& before, const Listen& listen) {
  const unsigned now = ProtocolsOf(listen);
  const unsigned all = ProtocolsOf(before);
  const bool adds = (now | all) != all;
  const bool removes = !adds && (now | all) != now;
  const bool differs = said.is_set && now != said.bits;
  bool redefined = false;
  if (adds) {
    redefined = (before.bind && !listen.bind) || said.changed || (now | all) != now;
  } else if (removes) {
    redefined = listen.bind || differs;
  } else {
    redefined = (listen.bind && said.changed) || differs;
  }
  said.bits = adds ? all : now;
  said.is_set = true;
  said.changed |= adds || removes;
  return redefined;
}

Status Join(ListenGroup& group, const Listen& listen, const Server* server) {
  Listen& merged = group.listen;
  if (listen.bind && merged.bind) return AtListen(listen, "duplicate listen options for");
  if (listen.default_server && merged.default_server)
    return AtListen(listen, "a duplicate default server for");
  const Listen before = merged;
  if (listen.bind) merged = listen;
  merged.default_server = before.default_server || listen.default_server;
  merged.ssl = before.ssl || listen.ssl;
  merged.http2 = before.http2 || listen.http2;
  merged.proxy_protocol = before.proxy_protocol || listen.proxy_protocol;
  if (listen.default_server) group.default_server = server;
  group.servers.push_back(server);
  return {};
}

// A wildcard socket takes the connections of its port for addresses that need no socket of their
// own.
void FindServingSockets(Http& http) {
  std::map<std::pair<int, uint16_t>, int> wildcards;
  for (size_t i = 0; i < http.listens.size(); ++i) {
    const SocketAddress& address = http.listens[i].listen.address;
    if (address.is_wildcard()) wildcards[{address.family(), address.port()}] = static_cast<int>(i);
  }
  for (ListenGroup& group : http.listens) {
    const SocketAddress& address = group.listen.address;
    if (group.listen.bind || address.is_unix() || address.is_wildcard()) continue;
    const auto it = wildcards.find({address.family(), address.port()});
    if (it != wildcards.end()) group.served_by = it->second;
  }
}

// The certificate of an address is its default server's, unless the client asks for another server
// that has one. A default that refuses handshakes leaves them all to the others.
Status CheckCertificates(const ListenGroup& group) {
  if (!group.listen.ssl || !group.default_server->tls.certificates.empty()) return {};
  std::vector<const Server*> servers = group.servers;
  servers.insert(servers.begin(), group.default_server);
  for (const Server* server : servers) {
    if (!server->tls.certificates.empty() || server->tls.reject_handshake) continue;
    return InvalidArgument(
        fmt::format("no \"ssl_certificate\" is defined for the \"listen ... ssl\" directive in {}",
                    server->declared_at));
  }
  return {};
}

// Whoever has certificates for port 443 and forgets `ssl` answers browsers with 400.
void WarnAboutPlainText(Config& config, const ListenGroup& group) {
  constexpr uint16_t kHttps = 443;
  const SocketAddress& address = group.listen.address;
  if (group.listen.ssl || address.is_unix() || address.port() != kHttps) return;
  const bool has_certificates = std::ranges::any_of(
      group.servers, [](const Server* server) { return !server->tls.certificates.empty(); });
  if (!has_certificates) return;
  config.warnings.push_back(
      fmt::format("[warn] {} speaks no TLS, \"listen\" has no \"ssl\": \"ssl_certificate\" has no "
                  "effect in {}",
                  address.ToString(), group.listen.declared_at));
}

Status CheckKeys(const Server& server) {
  const TlsSettings& tls = server.tls;
  if (tls.certificate_keys.size() >= tls.certificates.size()) return {};
  return InvalidArgument(
      fmt::format("no \"ssl_certificate_key\" is defined for certificate \"{}\" in {}",
                  tls.certificates.back().source(), server.declared_at));
}

// What a TLS context is made of has the names of a certificate that never changes.
Status FinishClientCertificate(const Server& server, Location& location) {
  ProxySettings& proxy = location.proxy;
  if (proxy.ssl_certificate.empty()) return {};
  const bool speaks_tls = proxy.pass.set && (proxy.pass.https || proxy.pass.has_variables);
  if (proxy.ssl_certificate_key.empty() && speaks_tls) {
    return InvalidArgument(
        fmt::format("no \"proxy_ssl_certificate_key\" is defined for certificate \"{}\" in {}",
                    proxy.ssl_certificate.source(), server.declared_at));
  }
  if (proxy.ssl_certificate_varies()) return {};
  proxy.tls.certificate = proxy.ssl_certificate.constant();
  proxy.tls.certificate_key = proxy.ssl_certificate_key.constant();
  return {};
}

Status FinishTls(Http& http) {
  for (const auto& server : http.servers) {
    if (Status s = CheckKeys(*server); !s) return s;
    if (Status s = FinishClientCertificate(*server, *server->root); !s) return s;
    for (const auto& location : server->locations) {
      if (Status s = FinishClientCertificate(*server, *location); !s) return s;
    }
  }
  for (const ListenGroup& group : http.listens) {
    if (Status s = CheckCertificates(group); !s) return s;
  }
  return {};
}

// nginx refuses this, too: nobody could ever be let in by name.
Status CheckReferers(const Location& location) {
  const Referers& referers = location.access.referers;
  if ((!referers.none && !referers.blocked) || referers.server_names || !referers.names.empty())
    return {};
  return InvalidArgument(
      fmt::format("the \"none\" or \"blocked\" referers are specified in the \"valid_referers\" "
                  "directive without any valid referer in {}",
                  referers.declared_at));
}

Status CheckAllReferers(const Http& http) {
  for (const Location* location : AllLocations(http)) {
    if (Status s = CheckReferers(*location); !s) return s;
  }
  return {};
}

// nginx refuses this, too: it would have to convert bodies.
Status CheckCharsets(const Http& http) {
  for (const Location* location : AllLocations(http)) {
    const CharsetSettings& charset = location->response.charset;
    if (!charset.name || !charset.source) continue;
    const Template &name = *charset.name, &source = *charset.source;
    if (!name.is_constant() || !source.is_constant()) continue;
    if (EqualsIgnoreCase(name.constant(), source.constant())) continue;
    return InvalidArgument(
        fmt::format("no \"charset_map\" between the charsets \"{}\" and \"{}\" in {}",
                    source.constant(), name.constant(), location->server->declared_at));
  }
  return {};
}

// Of those X-Accel-Charset may choose.
void CollectCharsets(Http& http) {
  for (const Location* location : AllLocations(http)) {
    const CharsetSettings& charset = location->response.charset;
    for (const std::optional<Template>* name : {&charset.name, &charset.source}) {
      if (!*name || !(*name)->is_constant()) continue;
      const std::string text((*name)->constant());
      if (std::ranges::find(http.charsets, text) == http.charsets.end())
        http.charsets.push_back(text);
    }
  }
}

void NumberLocations(Http& http) {
  for (Location* location : AllLocations(http)) location->index = http.locations++;
}

bool RedirectsToItself(const Location& location) {
  const bool in_tree = location.kind == LocationKind::kPrefix ||
                       location.kind == LocationKind::kPrefixNoRegex ||
                       location.kind == LocationKind::kExact;
  using OwnSlash = RedirectSettings::OwnSlash;
  const OwnSlash said = location.redirect.own_slash;
  return in_tree && location.name.ends_with('/') &&
         (said == OwnSlash::kOn || (said == OwnSlash::kIfProxied && location.proxy.pass.set));
}

void FindOwnRedirects(Http& http) {
  for (Location* location : AllLocations(http))
    location->auto_redirect = RedirectsToItself(*location);
}

}  // namespace

Status GroupListens(Loader& loader, Http& http) {
  std::map<std::string, size_t> by_address;
  std::vector<SaidProtocols> said;
  for (const auto& server : http.servers) {
    for (const Listen& listen : server->listens) {
      const auto [it, is_new] = by_address.emplace(Key(listen.address), http.listens.size());
      if (is_new) {
        http.listens.push_back(
            {.listen = listen, .servers = {server.get()}, .default_server = server.get()});
        said.emplace_back();
        continue;
      }
      ListenGroup& group = http.listens[it->second];
      const Listen before = group.listen;
      if (Status s = Join(group, listen, server.get()); !s) return s;
      if (AreRedefined(said[it->second], before, listen)) {
        loader.config().warnings.push_back(
            fmt::format("[warn] protocol options redefined for {} in {}", listen.address.ToString(),
                        listen.declared_at));
      }
    }
  }
  FindServingSockets(http);
  return {};
}

Status FinishHttp(Loader& loader, Http& http) {
  CollectCharsets(http);
  NumberLocations(http);
  FindOwnRedirects(http);
  if (Status s = http.variables.CheckAllDefined(); !s) return s;
  if (Status s = GroupListens(loader, http); !s) return s;
  if (Status s = CheckNames(loader.config(), http); !s) return s;
  if (Status s = CheckSharedZones(http); !s) return s;
  if (Status s = CheckRebalance(http); !s) return s;
  if (Status s = CheckStores(loader, http); !s) return s;
  if (Status s = FinishTls(http); !s) return s;
  if (Status s = FinishStatusZones(http); !s) return s;
  if (Status s = CheckAllReferers(http); !s) return s;
  if (Status s = CheckCharsets(http); !s) return s;
  for (const ListenGroup& group : http.listens) {
    WarnAboutNames(loader.config(), group);
    WarnAboutPlainText(loader.config(), group);
  }
  WarnAboutFraming(loader.config(), http);
  return {};
}

}  // namespace limpet::conf
