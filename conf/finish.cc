// What can only be checked and put together once the whole http block is read.
#include <fmt/core.h>

#include <map>
#include <set>

#include "conf/loader.h"
#include "conf/session_zone.h"

namespace limpet::conf {
namespace {

// An address as a key: groups are found without walking over all of them.
std::string Key(const SocketAddress& address) { return address.ToString(); }

bool IsWildcardAddress(const SocketAddress& address) {
  if (address.is_unix()) return false;
  const std::string_view bytes = address.ip_bytes();
  return bytes.find_first_not_of('\0') == std::string_view::npos;
}

std::string Conflict(const ServerName& name, const Listen& listen) {
  return fmt::format("[warn] conflicting server name \"{}\" on {}, ignored", name.source,
                     listen.address.ToString());
}

// The first server with a name on an address keeps it.
void WarnAboutNames(Config& config, const ListenGroup& group) {
  std::set<std::string_view> seen;
  static const ServerName kNameless;
  for (const Server* server : group.servers) {
    if (server->names.empty() && !seen.insert("").second) {
      config.warnings.push_back(Conflict(kNameless, group.listen));
    }
    for (const ServerName& name : server->names) {
      if (name.kind == ServerName::Kind::kRegex || seen.insert(name.source).second) continue;
      config.warnings.push_back(Conflict(name, group.listen));
    }
  }
}

Error AtListen(const Listen& listen, std::string_view what) {
  return InvalidArgument(
      fmt::format("{} {} in {}", what, listen.address.ToString(), listen.declared_at));
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
    if (IsWildcardAddress(address))
      wildcards[{address.family(), address.port()}] = static_cast<int>(i);
  }
  for (ListenGroup& group : http.listens) {
    const SocketAddress& address = group.listen.address;
    if (group.listen.bind || address.is_unix() || IsWildcardAddress(address)) continue;
    const auto it = wildcards.find({address.family(), address.port()});
    if (it != wildcards.end()) group.served_by = it->second;
  }
}

// Each server behind an ssl listener needs a certificate and its key, unless it refuses handshakes.
Status CheckCertificates(const Server& server) {
  const TlsSettings& tls = server.tls;
  for (const Listen& listen : server.listens) {
    if (!listen.ssl || tls.reject_handshake) continue;
    if (tls.certificates.empty()) {
      return InvalidArgument(fmt::format(
          "no \"ssl_certificate\" is defined for the \"listen ... ssl\" directive in {}",
          server.declared_at));
    }
    if (tls.certificate_keys.size() < tls.certificates.size()) {
      return InvalidArgument(
          fmt::format("no \"ssl_certificate_key\" is defined for certificate \"{}\" in {}",
                      tls.certificates[tls.certificate_keys.size()], server.declared_at));
    }
  }
  return {};
}

}  // namespace

Status GroupListens(Loader&, Http& http) {
  std::map<std::string, size_t> by_address;
  for (const auto& server : http.servers) {
    for (const Listen& listen : server->listens) {
      const auto [it, is_new] = by_address.emplace(Key(listen.address), http.listens.size());
      if (is_new) {
        http.listens.push_back(
            {.listen = listen, .servers = {server.get()}, .default_server = server.get()});
      } else if (Status s = Join(http.listens[it->second], listen, server.get()); !s) {
        return s;
      }
    }
  }
  FindServingSockets(http);
  return {};
}

Status FinishHttp(Loader& loader, Http& http) {
  if (Status s = http.variables.CheckAllDefined(); !s) return s;
  if (Status s = GroupListens(loader, http); !s) return s;
  if (Status s = CheckSharedZones(http); !s) return s;
  for (const auto& server : http.servers) {
    if (Status s = CheckCertificates(*server); !s) return s;
  }
  for (const ListenGroup& group : http.listens) WarnAboutNames(loader.config(), group);
  return {};
}

}  // namespace limpet::conf
