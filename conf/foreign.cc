#include "conf/foreign.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "base/text.h"
#include "conf/units.h"

namespace limpet::conf {
namespace {

std::optional<std::string> Value(const Directive& d, std::string_view name) {
  for (const std::string& word : d.args) {
    if (word.starts_with(name) && word.size() > name.size() && word[name.size()] == '=')
      return word.substr(name.size() + 1);
  }
  return std::nullopt;
}

bool Has(const Directive& d, std::string_view word) {
  for (const std::string& arg : d.args) {
    if (arg == word) return true;
  }
  return false;
}

std::string First(const Directive& d, std::string_view otherwise) {
  return d.args.empty() ? std::string(otherwise) : d.args[0];
}

// `sticky cookie NAME` with the attributes that both sides know.
std::string StickyCookie(const Directive& d, std::string_view name_word) {
  std::string line =
      fmt::format("sticky cookie {}", Value(d, name_word).value_or("route"));  // their default
  for (const std::string_view known : {"domain", "path", "expires"}) {
    if (const auto value = Value(d, known)) line += fmt::format(" {}={}", known, *value);
  }
  for (const std::string_view flag : {"secure", "httponly"}) {
    if (Has(d, flag)) line += fmt::format(" {}", flag);
  }
  return line;
}

// nginx-sticky-module: name=, hash=md5|sha1|index, hmac=, hmac_key=, no_fallback.
std::string OfStickyModule(const Directive& d) {
  std::string line = StickyCookie(d, "name") + ";";
  if (const auto key = Value(d, "hmac_key")) line += fmt::format(" sticky_secret {};", *key);
  if (Has(d, "no_fallback")) line += " sticky_strict on;";
  return line;
}

// Tengine: cookie=, maxage= in seconds, fallback=off.
std::string OfSessionSticky(const Directive& d) {
  std::string line = StickyCookie(d, "cookie");
  if (const auto age = Value(d, "maxage")) line += fmt::format(" expires={}", *age);
  return line + (Value(d, "fallback") == "off" ? "; sticky_strict on;" : ";");
}

// Tengine's upstream checks: interval=3000 rise=2 fall=5.
std::string OfCheck(const Directive& d) {
  std::string line = "health_check";
  if (const auto interval = Value(d, "interval")) line += fmt::format(" interval={}ms", *interval);
  if (const auto rise = Value(d, "rise")) line += fmt::format(" passes={}", *rise);
  if (const auto fall = Value(d, "fall")) line += fmt::format(" fails={}", *fall);
  if (const auto port = Value(d, "port")) line += fmt::format(" port={}", *port);
  if (Value(d, "type") == "tcp") line += " type=tcp";
  return line + "; in the location that passes to this upstream";
}

// Angie PRO's: NAME [uri=] [port=] [interval=] [test=] [essential] [fails=] [passes=] [mode=].
std::string OfUpstreamProbe(const Directive& d) {
  std::string line = "health_check";
  for (const std::string_view known : {"uri", "port", "interval", "fails", "passes"}) {
    if (const auto value = Value(d, known)) line += fmt::format(" {}={}", known, *value);
  }
  if (Has(d, "essential")) line += " mandatory";
  if (Has(d, "persistent")) line += " persistent";
  if (Value(d, "test")) line += " match=NAME";
  return line + (Value(d, "test") ? "; with match NAME in http" : ";");
}

std::string OfCookieInsert(const Directive& d) {
  std::string line = fmt::format("sticky cookie {}", First(d, "srv_id"));
  for (size_t i = 1; i < d.args.size(); ++i) line += " " + d.args[i];
  return line + ";";
}

std::string OfConsistentHash(const Directive& d) {
  return fmt::format("hash {} consistent;", First(d, "$request_uri"));
}

// jvm_route $cookie_JSESSIONID|sessionid; the servers' srun_id= is route= here.
std::string OfJvmRoute(const Directive& d) {
  const std::string word = First(d, "$cookie_JSESSIONID");
  return fmt::format(
      "sticky route $route; with map {} $route {{ ~\\.(.+)$ $1; }} in http, and route= for "
      "srun_id=",
      word.substr(0, word.find('|')));
}

std::string OfUpstreamConf(const Directive&) { return "api write=on;"; }
std::string OfStatus(const Directive&) { return "api; or prometheus;"; }
std::string OfFair(const Directive&) { return "least_conn;"; }

constexpr std::string_view kOfTengine = "it is Tengine's";

constexpr Foreign Other(std::string_view name, std::string_view area) { return {name, area}; }
constexpr Foreign Code(std::string_view name, std::string_view area) {
  return {name, area, nullptr, true};
}
constexpr Foreign Instead(std::string_view name, std::string_view area,
                          std::string (*line)(const Directive&)) {
  return {name, area, line};
}

constexpr std::string_view kFastCgi =
    "limpet proxies HTTP only: FastCGI is left out, let a web server beside the application speak "
    "it";
constexpr std::string_view kUwsgi =
    "limpet proxies HTTP only: uwsgi is left out, let the application listen for HTTP";
constexpr std::string_view kTracing = "traces are not sent: pass $request_id or traceparent on";
constexpr std::string_view kSetMisc = "values are not computed: use map or split_clients";
constexpr std::string_view kUploads = "bodies are passed on: let the application take them";
constexpr std::string_view kPush = "limpet keeps no messages: pass on to a service that does";
constexpr std::string_view kLogins = "let a service behind auth_request check who it is";
constexpr std::string_view kLua = "limpet runs no programs: Lua is left out";
constexpr std::string_view kNjs = "limpet runs no programs: njs is left out";
constexpr std::string_view kPerl = "limpet runs no programs: Perl is left out";
constexpr std::string_view kPassenger = "limpet runs no programs: Passenger is left out";
constexpr std::string_view kHttp3 = "HTTP/3 is left out: limpet listens on TCP only";
constexpr std::string_view kCompression = "limpet compresses with gzip only";
constexpr std::string_view kBodies = "limpet passes on and serves, it makes no bodies of its own";
constexpr std::string_view kFiles = "limpet serves files as they are";
constexpr std::string_view kCache = "responses are not kept";
constexpr std::string_view kFirewall = "limpet has no application firewall";
constexpr std::string_view kJwt = "write jwt_claim … required instead";
constexpr std::string_view kTokens = "tokens are checked by a service behind auth_request";
constexpr std::string_view kStores =
    "sessions are shared through Redis: write session_store in http, and store= of sticky learn";
constexpr std::string_view kGeo = "its databases are of an earlier form: write geoip2 instead";

constexpr std::array kTable = std::to_array<Foreign>({
    Other("stream", "limpet proxies HTTP only: stream is left out"),
    Other("mail", "limpet proxies HTTP only: mail is left out"),
    Other("rtmp", "limpet proxies HTTP only: RTMP is left out"),
    Other("fastcgi_*", kFastCgi),
    Other("uwsgi_*", kUwsgi),
    Other("scgi_*", "limpet proxies HTTP only: SCGI is left out"),
    Other("memcached_*", "limpet proxies HTTP only: memcached is left out"),
    Other("grpc_*", "limpet proxies HTTP/1.1 only: gRPC is left out"),
    Other("redis_*", "limpet proxies HTTP only: Redis is left out"),
    Other("redis2_*", "limpet proxies HTTP only: Redis is left out"),
    Other("ajp_*", "limpet proxies HTTP only: AJP is left out"),
    Other("tunnel_*", "limpet proxies HTTP only: CONNECT is left out"),
    Other("proxy_connect", "limpet proxies HTTP only: CONNECT is left out"),
    Other("proxy_connect_*", "limpet proxies HTTP only: CONNECT is left out"),
    Other("http3", kHttp3),
    Other("http3_*", kHttp3),
    Other("quic_*", kHttp3),
    Other("ssi", "server side includes are left out"),
    Other("ssi_*", "server side includes are left out"),
    Other("js_*", kNjs),
    Code("*_by_lua_block", kLua),
    Other("*_by_lua", kLua),
    Other("*_by_lua_file", kLua),
    Other("lua_*", kLua),
    Other("perl", kPerl),
    Other("perl_*", kPerl),
    Other("passenger_*", kPassenger),
    Other("brotli", kCompression),
    Other("brotli_*", kCompression),
    Other("zstd", kCompression),
    Other("zstd_*", kCompression),
    Other("pagespeed", kBodies),
    Other("echo", kBodies),
    Other("echo_*", kBodies),
    Other("add_before_body", kBodies),
    Other("add_after_body", kBodies),
    Other("addition_types", kBodies),
    Other("image_filter", kBodies),
    Other("image_filter_*", kBodies),
    Other("xslt_*", kBodies),
    Other("subs_filter", "write sub_filter instead"),
    Other("subs_filter_*", "write sub_filter instead"),
    Other("more_set_headers", "write add_header instead"),
    Other("more_clear_headers", "write proxy_hide_header instead"),
    Other("more_set_input_headers", "write proxy_set_header instead"),
    Other("more_clear_input_headers", "write proxy_set_header with an empty value instead"),
    Other("dav_*", kFiles),
    Other("create_full_put_path", kFiles),
    Other("mp4", kFiles),
    Other("mp4_*", kFiles),
    Other("flv", kFiles),
    Other("hls", kFiles),
    Other("hls_*", kFiles),
    Other("f4f", kFiles),
    Other("random_index", kFiles),
    Other("fancyindex", "write autoindex instead"),
    Other("fancyindex_*", "write autoindex instead"),
    Other("secure_link", "signed links are left out"),
    Other("secure_link_*", "signed links are left out"),
    Other("userid", "limpet gives no cookies but those of sticky"),
    Other("userid_*", "limpet gives no cookies but those of sticky"),
    Other("auth_jwt", kJwt),
    Other("auth_jwt_*", kJwt),
    Other("auth_ldap", kTokens),
    Other("auth_ldap_*", kTokens),
    Other("auth_oidc", kTokens),
    Other("oidc_provider", kTokens),
    Other("geoip_*", kGeo),
    Other("modsecurity", kFirewall),
    Other("modsecurity_*", kFirewall),
    Other("app_protect_*", kFirewall),
    Other("keyval", "values set at run time are left out: use map"),
    Other("keyval_zone", "values set at run time are left out: use map"),
    Other("zone_sync", kStores),
    Other("zone_sync_*", kStores),
    Other("proxy_cache_purge", kCache),
    Other("charset_map", "bodies are never converted"),
    Other("vhost_traffic_status*", "write prometheus instead"),
    Other("acme_*", "certificates are not asked for: a client beside limpet does that"),
    Other("post_action", "write mirror instead, or ask for it from what reads the access log"),
    Other("ssl", "write ssl behind the address of listen instead"),
    Other("spdy_*", "SPDY is left out: write http2 on instead"),
    Other("limit_zone", "write limit_conn_zone instead"),
    Other("mgmt", "limpet needs no licence: leave it out"),
    Other("status_format", "the API answers in JSON: leave it out"),
    Other("degradation", "leave it out: limit_conn, limit_req and queue bound what is taken"),
    Other("degrade", "leave it out: limit_conn, limit_req and queue bound what is taken"),
    Other("google_perftools_profiles", "leave it out: perf shows where the time goes"),
    Other("min_delete_depth", kFiles),
    Other("xml_entities", kBodies),
    Other("xml_external_entities", kBodies),
    // Third-party modules.
    Other("otel_*", kTracing),
    Other("opentelemetry*", kTracing),
    Other("opentracing*", kTracing),
    Other("set_cookie_flag", "write proxy_cookie_flags instead"),
    Other("cookie_flag", "write proxy_cookie_flags instead"),
    Other("set_random", kSetMisc),
    Other("set_secure_random_*", kSetMisc),
    Other("set_md5", kSetMisc),
    Other("set_sha1", kSetMisc),
    Other("set_hmac_*", kSetMisc),
    Other("set_escape_uri", kSetMisc),
    Other("set_unescape_uri", kSetMisc),
    Other("set_if_empty", kSetMisc),
    Other("set_quote_*", kSetMisc),
    Other("set_encode_*", kSetMisc),
    Other("set_decode_*", kSetMisc),
    Other("set_form_input*", kSetMisc),
    Other("array_*", kSetMisc),
    Other("encrypted_session_*", kSetMisc),
    Other("upload_*", kUploads),
    Other("track_uploads", kUploads),
    Other("nchan_*", kPush),
    Other("push_stream_*", kPush),
    Other("auth_gss*", kLogins),
    Other("auth_pam*", kLogins),
    Other("auth_digest*", kLogins),
    Other("auth_totp*", kLogins),
    Other("shib_*", kLogins),
    Other("ModSecurity*", kFirewall),
    Other("MainRule", kFirewall),
    Other("BasicRule", kFirewall),
    Other("CheckRule", kFirewall),
    Other("SecRules*", kFirewall),
    Other("LearningMode", kFirewall),
    Other("DeniedUrl", kFirewall),
    Other("testcookie*", kFirewall),
    Other("srcache_*", kCache),
    Other("concat*", kBodies),
    Other("trim*", kBodies),
    Other("vod*", kBodies),
    Other("security_headers*", "write add_header instead"),
    Other("ssl_dyn_rec_*", "records follow the connection by themselves: write ssl_buffer_size"),
    Other("hash_again", "proxy_next_upstream_tries bounds what is tried: leave it out"),
    Other("req_status*", "write status_zone and prometheus instead"),
    Other("jdomain", "write resolve at the server instead"),
    // What people bring from Angie.
    Other("prometheus_template", "prometheus says all there is: choose where it is scraped"),
    Other("api_config_files", "the API does not show configurations: limpet -T does"),
    Other("client", "limpet asks nothing of its own but health checks: write health_check instead"),
    Instead("upstream_probe", "it is Angie's", OfUpstreamProbe),
    Other("upstream_probe_timeout", "write proxy_read_timeout in the location of health_check"),
    Other("time_format", "write $time_iso8601, $time_local or $msec into log_format instead"),
    Other("error_log_user_tag", "write $request_id into log_format instead"),
    Other("response_time_factor", "write least_time in the upstream: it weighs times by itself"),
    Other("proxy_connection_drop", "write drain at the server instead"),
    Other("docker_endpoint", "containers are found by name: write resolve at the server instead"),
    Other("metric*", "write prometheus instead: its metrics are fixed"),
    // What people bring from modules of old for sessions, checks and the like.
    Instead("session_sticky", kOfTengine, OfSessionSticky),
    Other("session_sticky_hide_cookie", "sticky's cookie may go to the servers: leave it out"),
    Instead("check", kOfTengine, OfCheck),
    Instead("check_*", kOfTengine, OfCheck),
    Instead("consistent_hash", kOfTengine, OfConsistentHash),
    Other("dynamic_resolve", "write resolve at the server instead"),
    Instead("jvm_route", "it is of nginx-upstream-jvm-route", OfJvmRoute),
    Instead("sticky_cookie_insert", "it is of old NGINX Plus", OfCookieInsert),
    Instead("upstream_conf", "it is of old NGINX Plus", OfUpstreamConf),
    Instead("status", "it is of old NGINX Plus", OfStatus),
    Instead("fair", "it is of nginx-upstream-fair", OfFair),
    // Names that other proxies and pages have for the methods of balancing.
    Other("balance", "it is HAProxy's: write least_conn, least_sessions, hash or random"),
    Other("round_robin", "it is what happens without a method: leave it out"),
    Other("roundrobin", "it is what happens without a method: leave it out"),
    Other("least_connections", "write least_conn instead"),
    Other("ntlm", "write keepalive with proxy_set_header Connection \"\" instead"),
    Other("state", "servers are not added at run time: name them in the block"),
});

// Variables of what is left out; $http_NAME, $jwt_claim_NAME and the like are not among them.
constexpr std::array kVariables = std::to_array<Foreign>({
    Other("fastcgi_*", kFastCgi),
    Other("geoip_*", kGeo),
    Other("http3", kHttp3),
    Other("quic", kHttp3),
    Other("secure_link*", "signed links are left out"),
    Other("uid_*", "limpet gives no cookies but those of sticky"),
    Other("brotli_*", kCompression),
    Other("zstd_*", kCompression),
    Other("memcached_key", "limpet proxies HTTP only: memcached is left out"),
    Other("otel_*", kTracing),
    Other("opentelemetry_*", kTracing),
    Other("opentracing_*", kTracing),
    Other("ssl_preread_*", "limpet proxies HTTP only: stream is left out"),
    Other("date_local", "server side includes are left out"),
    Other("date_gmt", "server side includes are left out"),
    Other("fancyindex_*", "write autoindex instead"),
    Other("upload_*", kUploads),
    Other("modsecurity_*", kFirewall),
});

bool Fits(std::string_view pattern, std::string_view name) {
  if (pattern.ends_with('*')) return name.starts_with(pattern.substr(0, pattern.size() - 1));
  if (pattern.starts_with('*')) return name.ends_with(pattern.substr(1));
  return pattern == name;
}

const Foreign* FindIn(std::span<const Foreign> table, std::string_view name) {
  const auto fits = [name](const Foreign& foreign) { return Fits(foreign.name, name); };
  const auto found = std::ranges::find_if(table, fits);
  return found == table.end() ? nullptr : &*found;
}

}  // namespace

const Foreign* FindForeign(std::string_view name) { return FindIn(kTable, name); }

std::string_view AreaOfForeignVariable(std::string_view name) {
  const Foreign* const found = FindIn(kVariables, name);
  return found == nullptr ? "" : found->area;
}

std::string WhyForeign(const Foreign& foreign, const Directive& directive) {
  std::string why = fmt::format("unknown directive \"{}\": {}", directive.name, foreign.area);
  if (foreign.instead != nullptr)
    why += fmt::format(", write instead: {}", foreign.instead(directive));
  return why;
}

std::string StickyInstead(const Directive& directive) {
  if (!directive.args.empty()) {
    const std::string& first = directive.args[0];
    if (first == "cookie" || first == "route" || first == "learn") return "";
  }
  for (const std::string& word : directive.args) {
    const std::string name = word.substr(0, word.find('='));
    bool known = false;
    for (const std::string_view of : {"name", "domain", "path", "expires", "hash", "hmac", "text",
                                      "hmac_key", "no_fallback", "secure", "httponly", "transfer"})
      known |= name == of;
    if (!known) return "";
  }
  return OfStickyModule(directive);
}

}  // namespace limpet::conf
