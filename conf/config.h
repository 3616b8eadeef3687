// The whole configuration, typed and constant once loaded. A reload builds another beside it.
// Settings inherit by value: a block starts as a copy of what surrounds it (all of the outer
// block's own directives, wherever they stand in the text), so no field is ever "unset".
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "conf/access.h"
#include "conf/browsers.h"
#include "conf/geoip2.h"
#include "conf/health_check.h"
#include "conf/jwt.h"
#include "conf/listen.h"
#include "conf/logging.h"
#include "conf/proxy.h"
#include "conf/response.h"
#include "conf/rewrite.h"
#include "conf/session_store.h"
#include "conf/status_zone.h"
#include "conf/syntax.h"
#include "conf/upstream.h"
#include "conf/variables.h"

namespace limpet::conf {

enum class LocationKind : uint8_t {
  kRoot /* the server itself */,
  kPrefix,
  kPrefixNoRegex /* ^~ */,
  kExact,
  kRegex,
  kNamed,
  kIf /* body of an `if` */,
  kLimitExcept
};

struct ClientSettings {
  size_t max_body_size = 1 << 20;  // 0: no limit
  size_t body_buffer_size = 16384;
  Ms body_timeout = 60s;
  std::string body_temp_path = "client_body_temp";
  enum class InFileOnly : uint8_t { kOff, kOn, kClean } body_in_file_only = InFileOnly::kOff;
  Ms send_timeout = 60s;
  Ms keepalive_timeout = 75s;
  int64_t keepalive_header_timeout = 0;  // seconds in the Keep-Alive header; 0: none
  int keepalive_requests = 1000;
  Ms keepalive_time = 1h;
  Ms keepalive_min_timeout = 0ms;
  uint32_t keepalive_disable = 1;  // bit 0: msie6, bit 1: safari
  Ms lingering_time = 30s;
  Ms lingering_timeout = 5s;
  enum class Lingering : uint8_t { kOff, kOn, kAlways } lingering_close = Lingering::kOn;
  bool reset_timedout_connection = false;
  bool tcp_nodelay = true;
  Template limit_rate;  // bytes a second to the client; 0 or empty: no limit
  Template limit_rate_after;
};

struct RedirectSettings {
  // Whether a location `/x/` redirects `/x` to itself.
  enum class OwnSlash : uint8_t { kOff, kOn, kIfProxied } own_slash = OwnSlash::kIfProxied;
  bool absolute = true;
  bool port_in_redirect = true;
  bool server_name_in_redirect = false;
};

// mirror: locations that get a copy of each request; what they answer goes nowhere.
struct Mirror {
  std::vector<Template> uris;
  bool request_body = true;
};

struct Server;
struct Location;

// The locations directly inside a server or a location.
struct LocationTree {
  std::map<std::string, Location*, std::less<>> exact;     // key: the URI
  std::map<std::string, Location*, std::less<>> prefixes;  // longest match wins
  std::vector<Location*> regexes;                          // in the order written
  std::map<std::string, Location*, std::less<>> named;     // with the @; of a server only
};

struct Location {
  size_t index = 0;  // among all of Http, from 0 to Http::locations
  LocationKind kind = LocationKind::kRoot;
  std::string name;  // the prefix, the pattern, or @name
  std::shared_ptr<const Regex> regex;
  std::vector<VariableId> named;
  const Server* server = nullptr;
  LocationTree children;
  RewriteScript rewrite;
  bool auto_redirect = false;  // its name without the final slash is redirected

  bool internal = false;
  bool stub_status = false;
  std::optional<std::string> api;  // `api /status/`: the URI prefix
  std::string api_subtree;         // what of the api's tree is shown here; "": all
  bool api_write = false;          // `write=on`
  bool prometheus = false;
  bool rewrite_log = false;              // the script is told of at level notice
  bool warn_uninitialized = true;        // of variables that `set` has not reached
  std::optional<std::string> dashboard;  // `dashboard /status/`: the URI of its api
  std::optional<HealthCheck> health_check;
  uint32_t limit_except_methods = 0;       // bits of proto::Method that the block does not apply to
  const Location* limit_except = nullptr;  // settings for all other methods

  ClientSettings client;
  RedirectSettings redirect;
  BrowserSettings browsers;
  ProxySettings proxy;
  AccessSettings access;
  ResponseSettings response;
  LogSettings log;
  std::shared_ptr<const Resolver> resolver;
  StatusZoneUse status_zone;  // of the location; a server has its own
  Mirror mirror;
  size_t http2_chunk_size = 0;  // the longest DATA frame of a response; 0: the usual
};

// Limits on request heads: they apply before a server is chosen by name, so they come from a
// listener's default server.
struct HeadSettings {
  size_t client_header_buffer_size = 1024;
  Ms client_header_timeout = 60s;
  int large_buffers_count = 4;
  size_t large_buffers_size = 8192;
  int max_headers = 1000;
  bool ignore_invalid_headers = true;
  bool underscores_in_headers = false;
  bool merge_slashes = true;
};

// HTTP/2 of a server. What holds for a connection is its first server's (by SNI, or the default
// one).
struct Http2Settings {
  bool enabled = false;
  bool websocket = false;  // extended CONNECT (RFC 8441)
  uint32_t max_concurrent_streams = 128;
  size_t body_preread_size = 65536;  // a stream's window before its body is asked for
};

struct Server {
  int index = 0;
  std::string name;  // the first server_name, "" if none: $server_name
  std::vector<ServerName> names;
  std::vector<Listen> listens;
  HeadSettings head;
  TlsSettings tls;
  Http2Settings http2;
  StatusZoneUse status_zone;
  // The server's own level: its settings, its rewrite script, its locations.
  std::unique_ptr<Location> root;
  // All others, nested and `if` ones included: the owner.
  std::vector<std::unique_ptr<Location>> locations;
  std::string declared_at;
};

// One address to listen on and the servers behind it.
struct ListenGroup {
  Listen listen;  // of the first server that named the address, with options merged
  std::vector<const Server*> servers;
  const Server* default_server = nullptr;
  // Index of the wildcard group of the same port whose socket accepts for this address, too; -1: it
  // has its own.
  int served_by = -1;

  // Whether HTTP/2 is spoken here with clients of `server`: the one of SNI, for ALPN; the default
  // one, for a preface on a plain connection; the one of a request's Host, else 421.
  bool SpeaksHttp2(const Server& server) const { return listen.http2 || server.http2.enabled; }
};

struct Http {
  std::vector<std::unique_ptr<Server>> servers;
  std::vector<ListenGroup> listens;
  std::vector<std::unique_ptr<Upstream>> upstreams;
  std::vector<SessionZone> session_zones;
  std::vector<SessionStore> session_stores;
  std::vector<Match> matches;
  std::vector<LimitReqZone> limit_req_zones;
  std::vector<LimitConnZone> limit_conn_zones;
  std::vector<TlsSessionZone> tls_session_zones;
  std::vector<StatusZone> status_zones;
  std::vector<LogFormat> log_formats;          // 0 is `combined`
  std::vector<std::string> access_log_files;   // absolute paths
  std::vector<std::string> charsets;           // that the configuration names, in any case
  size_t http2_recv_buffer_size = 256 * 1024;  // a worker's, for what it reads of HTTP/2
  VariableTable variables;
  size_t locations = 0;  // how many there are in all servers, their roots included
  GeoSettings geo;
  Tokens tokens;
};

struct Config {
  // main context
  bool daemon = true;
  bool master_process = true;
  int worker_processes = 1;
  bool compatible_nginx = false;      // calls itself nginx: see worker/http/local/version.h
  std::string pid_path;               // absolute
  std::string user, group;            // empty: not set
  std::string control_path;           // socket of the command line's talk with the master; absolute
  std::string state_path;             // where sessions are kept over a restart; absolute
  std::vector<ErrorLogs> error_logs;  // 0: of the main context; others by LogSettings::error_log
  Ms worker_shutdown_timeout = 0ms;
  Ms worker_watchdog = 30s;  // how long a worker's loop may stand still; 0: for ever
  int worker_priority = 0;
  int64_t worker_rlimit_nofile = -1;
  int64_t worker_rlimit_core = -1;
  Ms state_interval = std::chrono::seconds(60);  // 0: sessions are written at the end only
  std::string working_directory;
  // A set of CPUs for each worker; workers beyond these have the last one.
  std::vector<std::vector<int>> worker_cpu_affinity;
  bool worker_cpu_affinity_auto = false;
  std::vector<std::string> env;
  bool binds_transparently = false;  // proxy_bind … transparent, anywhere: workers need a power
  bool tls_objects_inheritable = true;  // what is unchanged on disk is not read again by a reload
  // events
  int worker_connections = 512;
  // http
  std::unique_ptr<Http> http;  // null without an http block

  std::string prefix;                                                         // absolute, ends in /
  std::string file;                                                           // absolute
  std::string folder() const { return file.substr(0, file.rfind('/') + 1); }  // of it
  std::vector<SourceFile> sources;
  std::vector<std::string> warnings;  // "[warn] …" lines of the load, for whoever asked for it
  std::vector<std::string> notices;   // what -t says beside them: it works, but look at it
  // Where a file was named first, by the name as it is opened: for errors that come later.
  std::unordered_map<std::string, std::string> named_at;
  std::string user_at;  // where `user` stands: "FILE:LINE"
};

// `error` with the place where the file that it names was configured, if there is one.
Error WithPlace(const Config& config, Error error);

struct LoadOptions {
  std::string prefix;             // -p; ends in /
  std::string file;               // -c; relative to the prefix
  std::string error_log;          // -e; relative to the prefix; "stderr"
  std::string global_directives;  // -g
  int cpus = 1;                   // for worker_processes auto
  std::string default_pid;  // where the configuration names none; absolute; empty: logs/limpet.pid
  std::string default_state;  // the same for state_path
};

// The error's message is complete but for the level: `unknown directive "x" in FILE:LINE`.
Result<std::unique_ptr<const Config>> Load(const LoadOptions& options);
Result<std::unique_ptr<const Config>> LoadText(const std::string& text,
                                               const LoadOptions& options);  // tests

}  // namespace limpet::conf
