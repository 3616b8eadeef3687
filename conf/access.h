// Who may come in, and how much of it: allow and deny, auth_basic, real addresses, limits, geo.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/socket_address.h"
#include "conf/regex.h"
#include "conf/template.h"
#include "conf/upstream.h"
#include "conf/variables.h"
#include "conf/wildcard_map.h"

namespace limpet::conf {

struct Cidr {
  SocketAddress network;
  int bits = 0;
  // IPv4-mapped IPv6 addresses match IPv4 networks.
  bool Contains(const SocketAddress& address) const;

  // "10.0.0.0/8", "::1", "unix:"; `*had_host_bits` tells of bits beyond the mask (nginx warns).
  static Result<Cidr> Parse(std::string_view text, bool* had_host_bits);
};

struct AccessRule {
  bool allow = false;
  bool all = false;
  bool unix_sockets = false;  // "unix:"
  Cidr network;
};

struct RealIp {
  enum class Source : uint8_t { kXRealIp, kXForwardedFor, kProxyProtocol, kHeader };
  Source source = Source::kXRealIp;
  std::string header;  // kHeader: its name
  bool recursive = false;
  std::vector<Cidr> from;
  bool from_unix = false;
};

struct LimitReqZone {
  std::string name;
  size_t size = 0;
  Template key;
  uint64_t rate = 0;     // requests a second, in thousandths
  int status_zone = -1;  // index into Http::status_zones
};

struct LimitReq {
  int zone = -1;       // index into Http::limit_req_zones
  uint64_t burst = 0;  // requests
  uint64_t delay = 0;  // requests served without delay; max() for nodelay
};

struct LimitReqSettings {
  std::vector<LimitReq> limits;
  int status = 503;
  LogLevel log_level = LogLevel::kError;
  bool dry_run = false;
};

struct LimitConnZone {
  std::string name;
  size_t size = 0;
  Template key;
  int status_zone = -1;  // index into Http::status_zones
};

struct LimitConn {
  int zone = -1;
  uint32_t connections = 0;
};

struct LimitConnSettings {
  std::vector<LimitConn> limits;
  int status = 503;
  LogLevel log_level = LogLevel::kError;
  bool dry_run = false;
};

// auth_request: another location says whether a request may come in.
struct AuthRequest {
  struct Set {  // evaluated after the answer, with its variables
    VariableId variable = 0;
    Template value;
  };
  std::string uri;  // "": off
  std::vector<Set> sets;
};

// valid_referers: for $invalid_referer.
struct Referers {
  bool none = false;
  bool blocked = false;
  bool server_names = false;
  WildcardMap<std::string> names;  // of hosts; the value: how the path must begin
  std::vector<std::shared_ptr<const Regex>> patterns;  // of what follows http://
  bool set = false;
  std::string declared_at;  // "FILE:LINE"
};

struct AccessSettings {
  std::vector<AccessRule> rules;
  bool satisfy_any = false;
  std::optional<Template> auth_basic_realm;  // a value of "off" means none
  Template auth_basic_user_file;
  Ms auth_delay = 0ms;
  AuthRequest auth_request;
  Referers referers;
  RealIp real_ip;
  LimitReqSettings limit_req;
  LimitConnSettings limit_conn;
};

}  // namespace limpet::conf
