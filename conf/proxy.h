// proxy_*: how a request goes to an upstream and its response comes back.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conf/regex.h"
#include "conf/template.h"
#include "conf/tls_certificate.h"
#include "conf/upstream.h"
#include "conf/upstream_tls.h"

namespace limpet::conf {

// When the next server is tried (proxy_next_upstream).
enum NextUpstream : uint32_t {
  kNextError = 1u << 0,
  kNextTimeout = 1u << 1,
  kNextInvalidHeader = 1u << 2,
  kNext500 = 1u << 3,
  kNext502 = 1u << 4,
  kNext503 = 1u << 5,
  kNext504 = 1u << 6,
  kNext403 = 1u << 7,
  kNext404 = 1u << 8,
  kNext429 = 1u << 9,
  kNextNonIdempotent = 1u << 10,
  kNextOff = 1u << 11,
};

enum IgnoreHeader : uint32_t {  // proxy_ignore_headers
  kIgnoreXAccelRedirect = 1u << 0,
  kIgnoreXAccelExpires = 1u << 1,
  kIgnoreXAccelLimitRate = 1u << 2,
  kIgnoreXAccelBuffering = 1u << 3,
  kIgnoreXAccelCharset = 1u << 4,
  kIgnoreExpires = 1u << 5,
  kIgnoreCacheControl = 1u << 6,
  kIgnoreSetCookie = 1u << 7,
  kIgnoreVary = 1u << 8,
};

struct ProxyPass {
  bool set = false;
  bool https = false;
  int upstream = -1;  // index into Http::upstreams, unless has_variables
  bool has_variables = false;
  Template url;             // the whole URL if has_variables
  bool has_uri = false;     // a URI part was given: it replaces the matched part of the location
  std::string uri;          // that part
  std::string host_header;  // $proxy_host: as written, with the port unless it is the default
  std::string port;         // $proxy_port
};

struct SetHeader {
  std::string name;
  Template value;           // empty when evaluated: the header is not sent
  std::string declared_at;  // "FILE:LINE" of one that frames a body, for the warning
};

struct RedirectRule {  // proxy_redirect
  Template prefix;
  std::shared_ptr<const Regex> regex;
  std::vector<VariableId> named;  // ids of regex->named_groups(), in their order
  Template replacement;
};

struct CookieRule {  // proxy_cookie_domain, proxy_cookie_path
  Template match;
  std::shared_ptr<const Regex> regex;
  std::vector<VariableId> named;
  Template replacement;
};

struct CookieFlags {  // proxy_cookie_flags
  enum class Tri : uint8_t { kKeep, kOn, kOff };
  enum class SameSite : uint8_t { kKeep, kStrict, kLax, kNone, kOff };
  Template cookie;
  std::shared_ptr<const Regex> regex;
  std::vector<VariableId> named;
  // Each: secure, nosecure, httponly, nohttponly, samesite=…, nosamesite.
  std::vector<Template> flags;
};

struct ProxySettings {
  ProxyPass pass;  // not inherited into nested locations
  Ms connect_timeout = 60s;
  Ms send_timeout = 60s;
  Ms read_timeout = 60s;
  // 1.1 to upstreams: connections are kept by default (nginx does so since 1.29.7).
  int http_version = 11;
  // proxy_set_header of this level or the nearest outer one that has any.
  std::vector<SetHeader> set_headers;
  std::vector<std::string> hide_headers;
  std::vector<std::string> pass_headers;
  bool pass_request_headers = true;
  bool pass_request_body = true;
  bool pass_trailers = false;
  std::optional<Template> set_body;
  Template method;
  bool buffering = true;
  bool request_buffering = true;
  size_t buffer_size = 4096;  // of the response head; nginx's page size default
  int buffers_count = 8;
  size_t buffers_size = 4096;
  size_t max_temp_file_size = size_t{1} << 30;
  std::string temp_path = "proxy_temp";
  Template limit_rate;  // bytes a second from the upstream; 0 or empty: no limit
  bool intercept_errors = false;
  bool ignore_client_abort = false;
  bool socket_keepalive = false;
  bool force_ranges = false;
  uint32_t ignore_headers = 0;
  uint32_t next_upstream = kNextError | kNextTimeout;
  int next_upstream_tries = 0;  // 0: no limit
  Ms next_upstream_timeout = 0ms;
  bool redirect_default = true;  // proxy_redirect default
  bool redirect_off = false;
  std::vector<RedirectRule> redirects;
  std::vector<CookieRule> cookie_domains;
  std::vector<CookieRule> cookie_paths;
  std::vector<CookieFlags> cookie_flags;
  std::optional<Template> bind;  // proxy_bind; a constant "off" is no bind
  bool bind_transparent = false;
  TlsClientSettings tls;
  Template ssl_certificate, ssl_certificate_key;  // names (tls_certificate.h); "": none
  std::shared_ptr<const TlsCertificateCache> ssl_certificate_cache;  // null: none
  bool ssl_server_name = false;                                      // SNI
  std::optional<Template> ssl_name;  // for SNI and verification; none: $proxy_host without its port
  bool ssl_session_reuse = true;

  // Our certificate is read when it is shown, not with the configuration.
  bool ssl_certificate_varies() const {
    return !ssl_certificate.empty() &&
           !(ssl_certificate.is_constant() && ssl_certificate_key.is_constant());
  }
};

}  // namespace limpet::conf
