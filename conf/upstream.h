// upstream { }: a group of servers, how one is chosen, and how sessions stick.
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/socket_address.h"
#include "conf/balance_methods.h"
#include "conf/template.h"

namespace limpet::conf {

struct Location;

using namespace std::chrono_literals;
using Ms = std::chrono::milliseconds;

struct Resolver {
  std::vector<SocketAddress> servers;
  std::optional<Ms> valid;
  bool ipv4 = true;
  bool ipv6 = true;
  Ms timeout = 30s;
  int status_zone = -1;  // index into Http::status_zones; -1: questions are not counted
};

struct UpstreamServer {
  std::string name;                      // as written, e.g. "web:8080"
  std::vector<SocketAddress> addresses;  // resolved at load; each is a peer
  std::string host;                      // for `resolve`
  uint16_t port = 80;
  int weight = 1;
  int max_conns = 0;  // 0: no limit
  int max_fails = 1;  // 0: never marked as failed
  Ms fail_timeout = 10s;
  Ms slow_start = 0ms;
  bool backup = false;
  bool down = false;
  bool drain = false;
  Ms drain_timeout = 0ms;  // `drain=TIME`: its own sessions are served so long; 0: while they last
  int drain_move = 0;      // `move=`: so many of its idle sessions a second go to others
  bool drain_keeps = false;  // `drain=TIME,keep`: its tunnels and streams even longer
  bool resolve = false;
  std::string service;  // `service=`: looked up as an SRV record; empty: addresses of `host`
  std::string route;    // `route=` or `sid=`, at most 32 bytes; empty: MD5 of "ip:port"

  bool is_resolved() const { return resolve && addresses.empty(); }  // at run time, not at load
};

struct StickyCookie {
  struct Attribute {   // any other one, as Angie lets the operator give
    std::string name;  // "": the value is all of it (`Partitioned`, or a variable)
    Template value;    // empty: the attribute is left out
  };
  std::string name;
  Template lookup;            // $cookie_NAME
  std::optional<Ms> expires;  // max() for `expires=max`
  Template domain;
  Template path;
  bool httponly = false;
  bool secure = false;
  Template samesite;  // strict, lax, none, or a variable
  std::vector<Attribute> others;
  // Made from the lines of the file of sign=: the first seals the value, all open it. One or two;
  // none: the value is the server's id.
  std::vector<SealKey> keys;
  Ms ttl = 8h;  // of a sealed value: a working day
};

struct StickyRoute {
  std::vector<Template> routes;  // the first that is not empty and names a server wins
};

struct FillLimits {  // shares of capacity, 0 to 1
  double minor = 0.75;
  double major = 0.85;
  double crit = 0.95;
};

// A session table as `zone=NAME:SIZE` of one or several `sticky learn` names it.
struct SessionZone {
  std::string name;
  std::string upstream;  // the first that names it
  size_t size = 0;       // bytes
  Ms timeout = 10min;
  bool norefresh = false;      // timeout is the session's whole life, not its idle time
  bool rotate = true;          // a full table gives up its oldest session
  size_t cookie_max_size = 0;  // a longer key is not learned; 0: any length will do
  Ms gc_period = 5min;
  FillLimits fill;
  int store = -1;        // index into Http::session_stores; -1: of this machine only
  bool confirm = false;  // an answer that begins a session waits until the store has it

  // How often a session that a connection holds is used, at least; 0: it is not.
  Ms touch_interval() const {
    return norefresh ? 0ms : std::clamp<Ms>(timeout / 6, 100ms, Ms(30s));
  }
  // What has been idle for so long is held by no connection: that uses it soon after it has begun,
  // or as it begins where sessions move by themselves, and once in each interval.
  Ms free_after() const { return touch_interval() * 2; }
  // Of each value of `quota_key`, or of all where there is none: sessions that may live at once,
  // and that may begin, in thousandths as limit_req counts them. 0: any number.
  std::string quota_key;  // as written; "": no quota=
  uint32_t quota = 0;
  uint64_t new_rate = 0;  // a second
  uint64_t new_burst = 0;

  bool bounded() const { return quota > 0 || new_rate > 0; }
};

struct StickyLearn {
  std::vector<Template> create;
  std::vector<Template> lookup;
  std::vector<Template> ends;  // delete=: an answer in which one is not empty ends the session
  Template quota_key;          // quota=: whose sessions are counted; empty: all are one's
  int zone = -1;               // index into Http::session_zones
  bool header = false;         // learn when the response head has come, not when the response ends
};

// What happens to a session whose server cannot take its request (sticky_policy). The default is
// what nginx does.
struct SessionPolicy {
  enum class Down : uint8_t {
    kRebind,     // another server takes the session over
    kTemporary,  // one other server stands in; the session stays bound
    kFail        // the client gets fail_code
  };
  enum class Busy : uint8_t { kRebind, kQueue, kFail };
  // When a session that was moved off a server returns to it: never; when it comes after having
  // been idle for half its timeout; with its next request.
  enum class Failback : uint8_t { kNever, kIdle, kImmediate };
  Down on_down = Down::kRebind;
  int down_code = 502;
  Busy on_busy = Busy::kRebind;
  int busy_code = 502;
  Failback failback = Failback::kNever;
};

// queue N timeout=: requests that wait for a server while all (or their own) are full.
struct Queue {
  int limit = 0;  // requests of a worker; 0: none waits
  Ms timeout = 60s;
};

// rebalance: sessions that have been idle for so long move from servers above their share to those
// below it.
struct Rebalance {
  int rate = 0;            // sessions a second; 0: none
  Ms idle = 2min;          // longer than a page is looked at, shorter than a session lasts
  double threshold = 0.1;  // of a server's share: nothing moves for less

  // In a zone whose sessions end sooner, idle sessions are those that are half over.
  Ms IdleIn(const SessionZone& zone) const {
    return rate > 0 ? idle : std::min(idle, std::max(zone.timeout / 2, zone.free_after()));
  }
};

enum class StickyKind : uint8_t { kNone, kCookie, kRoute, kLearn };

struct Sticky {
  StickyKind kind = StickyKind::kNone;
  StickyCookie cookie;
  StickyRoute route;
  StickyLearn learn;
  SessionPolicy policy;
  bool strict = false;  // sticky_strict: a bound server that cannot answer is an error
  Template secret;      // sticky_secret: what server ids in cookies and routes are hashed with
  Ms first_wait = 0ms;  // sticky_first: how long a connection's first request leads others; 0: not
};

struct Upstream {
  std::string name;
  int index = 0;            // into Http::upstreams
  bool implicit = false;    // made by `proxy_pass http://host`, not by an upstream block
  std::string declared_at;  // "FILE:LINE"
  std::vector<UpstreamServer> servers;
  BalanceMethod method = BalanceMethod::kRoundRobin;
  bool least_time_last_byte = false;
  bool least_time_inflight = false;
  Template hash_key;
  Queue queue;
  Rebalance rebalance;
  std::shared_ptr<const Resolver> resolver;  // of `resolve`; null: no server has it
  Sticky sticky;
  std::string zone;  // shared state of its peers; empty: each worker has its own
  size_t zone_size = 0;
  // Kept connections: on by default, unlike in old nginx (1.29.7 and later keep them, too).
  int keepalive = 32;  // idle connections a worker keeps; 0: none
  int keepalive_requests = 1000;
  Ms keepalive_time = 1h;
  Ms keepalive_timeout = 60s;
  bool keepalive_local = false;
  // The locations whose health_check probes these servers, in the order of the configuration: a
  // check's place is its bit in shm::PeerState. At most kMaxChecks.
  static constexpr size_t kMaxChecks = 32;
  std::vector<const Location*> checks;
  bool mandatory = false;   // a check is: a server is not used before it has passed
  bool persistent = false;  // all mandatory checks are: what passed before a reload counts
};

}  // namespace limpet::conf
