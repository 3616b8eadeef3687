// session_store { }: where several machines share their sessions.
#include <algorithm>
#include <array>
#include <cctype>

#include "conf/host_port.h"
#include "conf/loader.h"
#include "conf/named_stores.h"
#include "conf/secret_file.h"
#include "conf/setting.h"
#include "conf/tables.h"
#include "conf/tls_arguments.h"
#include "conf/upstream_server.h"

namespace limpet::conf {
namespace {

using S = SessionStore;
using T = SessionStore::Tls;

constexpr uint16_t kRedisPort = 6379;
constexpr uint16_t kSentinelPort = 26379;
constexpr size_t kMaxKeys = 2;
constexpr size_t kMaxPrefix = 128;
constexpr int64_t kMaxQueue = int64_t{16} << 20;
constexpr Ms kMaxWait = 10s;

Error InStore(const Error& error, const std::string& server) {
  return InvalidArgument(fmt::format("{} in session_store server \"{}\"", error.message, server));
}

// A name that is not known yet may come to be known while a resolver is asked again.
Status FindServer(Block& b, const Directive& d, const HostPort& address, S::Server* server) {
  const bool is_name = !address.is_unix && !SocketAddress::ParseIp(address.host, 0);
  if (is_name) server->host = address.host;
  Result<std::vector<SocketAddress>> found = FindAddresses(address);
  if (found) {
    server->addresses = std::move(*found);
    return {};
  }
  if (!is_name || !b.store->resolver) return InStore(found.error(), server->name);
  b.loader.Warn(d, fmt::format("{}: it is looked up again at run time",
                               InStore(found.error(), server->name).message));
  return {};
}

Status Server(Block& b, const Directive& d) {
  S::Server server{.name = d.args[0]};
  const uint16_t port = b.store->sentinel.empty() ? kRedisPort : kSentinelPort;
  const Result<HostPort> address = ParseHostPort(server.name, port, false);
  if (!address) return InStore(address.error(), server.name);
  server.port = address->port;
  if (Status s = FindServer(b, d, *address, &server); !s) return s;
  if (std::ranges::find(b.store->servers, server.name, &S::Server::name) != b.store->servers.end())
    WarnOfDuplicate(b, d, "server", server.name);
  b.store->servers.push_back(std::move(server));
  return {};
}

// Sentinel's own rule for the names of masters.
Status Sentinel(Block& b, const Directive& d) {
  const auto fits = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
  };
  if (d.args[0].empty() || !std::ranges::all_of(d.args[0], fits))
    return InvalidForm(d, d.args[0], "a master's name has letters, digits, \".\", \"-\" and \"_\"");
  b.store->sentinel = d.args[0];
  return {};
}

// As ACL SETUSER takes them.
Status User(Block& b, const Directive& d) {
  const auto is_blank = [](unsigned char c) { return c <= ' ' || c == 0x7f; };
  if (d.args[0].empty() || std::ranges::any_of(d.args[0], is_blank))
    return InvalidForm(d, d.args[0], "a user's name is not empty and has no blanks");
  b.store->user = d.args[0];
  return {};
}

template <auto Field>
Status PasswordFile(Block& b, const Directive& d) {
  Result<std::string> password = ReadPasswordFile(b, d, d.args[0]);
  if (!password) return password.error();
  b.store->*Field = std::move(*password);
  return {};
}

Status KeyFile(Block& b, const Directive& d) {
  auto& keys = b.store->keys;
  for (const std::string& text : d.args) {
    if (keys.size() == kMaxKeys)
      return Refuse(d, fmt::format("has more than {} files in a session_store", kMaxKeys));
    const Result<SipKey> key = ReadKeyFile(b, d, text);
    if (!key) return key.error();
    if (std::ranges::find(keys, *key) != keys.end())
      b.loader.Warn(d, fmt::format("\"{}\" holds the key once more", text));
    keys.push_back(*key);
  }
  return {};
}

// Braces in a key tell Redis Cluster where it lives, and limpet has its own.
Status Prefix(Block& b, const Directive& d) {
  const std::string& text = d.args[0];
  const auto fits = [](unsigned char c) { return c > ' ' && c < 0x7f && c != '{' && c != '}'; };
  if (text.size() > kMaxPrefix || !std::ranges::all_of(text, fits)) {
    return InvalidForm(
        d, text,
        fmt::format("it is at most {} printable characters without blanks and braces", kMaxPrefix));
  }
  b.store->prefix = text;
  return {};
}

Status ConnectTimeout(Block& b, const Directive& d) {
  Ms& timeout = b.store->connect_timeout;
  if (Status s = Duration{}(b, d, d.args[0], timeout); !s) return s;
  return timeout > 0ms ? Status{} : InvalidForm(d, d.args[0], "it is a time above 0, as 1s");
}

// A bare number is in seconds: "50" is hardly what was meant.
Status Wait(Block& b, const Directive& d) {
  Ms& wait = b.store->wait;
  if (Status s = Duration{}(b, d, d.args[0], wait); !s) return s;
  return wait > 0ms && wait <= kMaxWait
             ? Status{}
             : InvalidForm(d, d.args[0], "it is a time above 0 and at most 10s, as 50ms");
}

Status Queue(Block& b, const Directive& d) {
  const auto n = ParseSizeUnits(d.args[0], false);
  if (!n || *n < 1 || *n > kMaxQueue)
    return InvalidForm(d, d.args[0], "it is a number of changes, 1 to 16m, as 64k");
  b.store->queue = static_cast<size_t>(*n);
  return {};
}

template <auto Field, bool kKey>
Status TlsObject(Block& b, const Directive& d) {
  Template name;
  if (Status s = CompileTlsName(b, d, kKey, name); !s) return s;
  if (!name.is_constant()) return Refuse(d, "cannot have variables");
  b.store->tls.*Field = name.constant();
  return {};
}

Status TlsName(Block& b, const Directive& d) {
  if (d.args[0].empty()) return InvalidForm(d, d.args[0], "a name is not empty");
  b.store->tls.name = d.args[0];
  return {};
}

Status CheckTls(const S& store, const Directive& d) {
  const T& tls = store.tls;
  if (tls.certificate_key.empty() && !tls.certificate.empty()) {
    return At(d, fmt::format("no \"tls_certificate_key\" is inside session_store \"{}\" for its "
                             "\"tls_certificate\"",
                             store.name));
  }
  if (tls.certificate.empty() && !tls.certificate_key.empty()) {
    return At(d, fmt::format("no \"tls_certificate\" is inside session_store \"{}\" for its "
                             "\"tls_certificate_key\"",
                             store.name));
  }
  const auto is_unix = [](const S::Server& s) {
    return !s.addresses.empty() && s.addresses[0].is_unix();
  };
  const auto local = std::ranges::find_if(store.servers, is_unix);
  if (!tls.on || local == store.servers.end()) return {};
  return At(d, fmt::format("\"tls on\" in session_store \"{}\" does not go together with server "
                           "\"{}\": Redis speaks no TLS there",
                           store.name, local->name));
}

// What belongs together but may stand in any order is checked when the block is complete.
Status CheckStore(const S& store, const Directive& d) {
  if (store.servers.empty())
    return At(d, fmt::format("no servers are inside session_store \"{}\"", store.name));
  if (store.keys.empty())
    return At(d, fmt::format("no \"key_file\" is inside session_store \"{}\"", store.name));
  if (!store.user.empty() && store.password.empty()) {
    return At(d, fmt::format("\"user\" requires a \"password_file\" in session_store \"{}\"",
                             store.name));
  }
  if (!store.sentinel_password.empty() && store.sentinel.empty()) {
    return At(d, fmt::format("\"sentinel_password_file\" requires \"sentinel\" in "
                             "session_store \"{}\"",
                             store.name));
  }
  return CheckTls(store, d);
}

void WarnWithoutTls(Loader& loader, const S& store, const Directive& d) {
  if (store.tls.on) return;
  for (const Directive& line : d.block) {
    if (line.name.starts_with("tls_"))
      loader.Warn(line, fmt::format("\"{}\" has no effect without \"tls on\"", line.name));
  }
}

// The resolver of http is known: the blocks in it come after its plain settings.
Status SessionStoreBlock(Block& outer, const Directive& d) {
  S store;
  store.name = d.args[0];
  store.declared_at = Where(d);
  if (store.name.empty()) return At(d, "invalid session_store name \"\"");
  S& place = FindOrAddStore(*outer.http, store.name);
  if (!place.declared_at.empty())
    return At(d, fmt::format("duplicate session_store \"{}\"", store.name));
  const auto& resolver = outer.location->resolver;
  if (resolver && !resolver->servers.empty()) store.resolver = resolver;
  Block block{.loader = outer.loader,
              .context = kSessionStore,
              .config = outer.config,
              .http = outer.http,
              .store = &store};
  if (Status s = outer.loader.Apply(d.block, block); !s) return s;
  if (Status s = CheckStore(store, d); !s) return s;
  WarnWithoutTls(outer.loader, store, d);
  place = std::move(store);
  return {};
}

constexpr uint32_t kHere = kSessionStore;
constexpr auto kTls = &S::tls;

constexpr std::array kRows = std::to_array<Row>({
    {"session_store", kHttp, kOneArg, kBlock | kMany, SessionStoreBlock, "",
     "a Redis or Valkey through which several machines share sessions: see store= of sticky learn"},
    {"server", kHere, kOneArg, kMany, Server, "",
     "ADDRESS[:PORT] | unix:PATH: of Redis, port 6379, or of a Sentinel, port 26379; several are "
     "tried in order"},
    {"sentinel", kHere, kOneArg, kOnce | kEarly, Sentinel, "",
     "the servers are Sentinels, to be asked for the master of this name"},
    {"sentinel_password_file", kHere, kOneArg, kOnce, PasswordFile<&S::sentinel_password>, "",
     "a file with the password of the Sentinels in its only line, read at load"},
    {"tls", kHere, kOneArg, kOnce, Setting<Flag, kTls, &T::on>, "off",
     "speak TLS with the servers"},
    {"tls_trusted_certificate", kHere, kOneArg, kOnce,
     Setting<ConfDirPath, kTls, &T::trusted_certificate>, "",
     "CAs for tls_verify (PEM); without it, those of the system"},
    {"tls_certificate", kHere, kOneArg, kOnce, TlsObject<&T::certificate, false>, "",
     "our certificate, for servers that ask: a PEM file, or data:PEM"},
    {"tls_certificate_key", kHere, kOneArg, kOnce, TlsObject<&T::certificate_key, true>, "",
     "the key of our certificate: a PEM file, data:PEM, or store:URI"},
    {"tls_name", kHere, kOneArg, kOnce, TlsName, "",
     "the servers' name, for SNI and verification; without it, each one's as written"},
    {"tls_verify", kHere, kOneArg, kOnce, Setting<Flag, kTls, &T::verify>, "on",
     "verify the servers' certificates"},
    {"user", kHere, kOneArg, kOnce, User, "", "of Redis's ACL; without it, the default one"},
    {"password_file", kHere, kOneArg, kOnce, PasswordFile<&S::password>, "",
     "a file with the password in its only line, read at load"},
    {"database", kHere, kOneArg, kOnce, Setting<Number<>, &S::database>, "0",
     "number of the database"},
    {"key_file", kHere, Takes(1, 2), kMany, KeyFile, "",
     "FILE [FILE]: at least 16 random bytes, the same on all machines, which sessions are hashed "
     "with; those of the second are looked up, too"},
    {"prefix", kHere, kOneArg, kOnce, Prefix, "limpet:", "begin of the keys in Redis"},
    {"connect_timeout", kHere, kOneArg, kOnce, ConnectTimeout, "1s",
     "time allowed to connect to a server"},
    {"wait", kHere, kOneArg, kOnce, Wait, "50ms",
     "the longest that a request waits for the store, at most 10s"},
    {"max_waiting", kHere, kOneArg, kOnce, Setting<Number<1>, &S::max_waiting>, "1000",
     "requests of a worker that may wait; others go on as if the store did not know their session"},
    {"queue", kHere, kOneArg, kOnce, Queue, "64k",
     "changes of a worker that wait while the store is away; then the oldest are given up"},
});

}  // namespace

constinit const std::span<const Row> kSessionStoreDirectives = kRows;

}  // namespace limpet::conf
