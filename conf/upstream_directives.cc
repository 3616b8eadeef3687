// upstream { }: its servers, kept connections. The balancing methods and `sticky` have tables of
// their own.
#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "conf/host_port.h"
#include "conf/loader.h"
#include "conf/setting.h"
#include "conf/tables.h"
#include "conf/upstream_server.h"

namespace limpet::conf {
namespace {

Status CheckPolicy(const Upstream& u, const Directive& d) {
  const SessionPolicy& policy = u.sticky.policy;
  if (policy.on_busy == SessionPolicy::Busy::kQueue && u.queue.limit == 0) {
    return At(d, fmt::format("\"on_busy=queue\" requires a \"queue\" in upstream \"{}\"", u.name));
  }
  if (policy.failback == SessionPolicy::Failback::kIdle && u.sticky.kind != StickyKind::kLearn) {
    return At(
        d, fmt::format("\"failback=idle\" requires \"sticky learn\" in upstream \"{}\"", u.name));
  }
  if (!u.sticky.cookie.keys.empty() && !u.sticky.secret.empty()) {
    return At(d, fmt::format("\"sticky_secret\" has no place beside \"sign\", whose cookies show "
                             "nothing of a server, in upstream \"{}\"",
                             u.name));
  }
  return {};
}

// What belongs together but may stand in any order is checked when the block is complete.
Status CheckUpstream(const Upstream& u, const Directive& d) {
  if (u.servers.empty()) return At(d, fmt::format("no servers are inside upstream \"{}\"", u.name));
  bool primary = false;
  for (const UpstreamServer& s : u.servers) {
    primary |= !s.backup;
    if (s.is_resolved() && u.zone.empty()) {
      return InvalidArgument(
          fmt::format("resolving names at run time requires upstream \"{}\" in {} to be in shared "
                      "memory",
                      u.name, Where(d)));
    }
  }
  if (!primary) return At(d, fmt::format("no servers in upstream \"{}\"", u.name));
  return CheckPolicy(u, d);
}

bool AreSame(const Template& a, const Template& b) {
  if (a.is_single_variable() && b.is_single_variable())
    return a.single_variable() == b.single_variable();
  return !a.source().empty() && a.source() == b.source();
}

// Each session begins with the client's first request that names it, not with an answer.
bool ClientsNameSessions(const StickyLearn& learn) {
  return std::ranges::all_of(learn.create, [&](const Template& create) {
    return std::ranges::any_of(learn.lookup,
                               [&](const Template& lookup) { return AreSame(create, lookup); });
  });
}

// Methods that weigh requests give a form to one server and its answer, which begins the session,
// to the next: with two servers all sessions begin at the same one.
void NoticeUnweighedSessions(const Upstream& u, const Directive& d, Config& config) {
  if (u.sticky.kind != StickyKind::kLearn || u.servers.size() == 1) return;
  if (ClientsNameSessions(u.sticky.learn)) return;
  if (RowOf(u.method).basis != BalanceBasis::kRequests) return;
  config.notices.push_back(
      fmt::format("upstream \"{}\" learns sessions, but its method spreads requests: "
                  "\"least_sessions\" spreads sessions in {}",
                  u.name, Where(d)));
}

// A key or chance leads to a server as if it had all of its weight.
bool StartsSlowly(BalanceMethod method) {
  switch (method) {
    case BalanceMethod::kRandom:
    case BalanceMethod::kRandomTwoLeastConn:
    case BalanceMethod::kHash:
    case BalanceMethod::kHashConsistent:
    case BalanceMethod::kIpHash:
      return false;
    default:
      return true;
  }
}

bool HasSlowStart(const Directive& server) {
  return std::ranges::any_of(server.args,
                             [](const std::string& a) { return a.starts_with("slow_start="); });
}

bool LimitsConnections(const Upstream& u) {
  return std::ranges::any_of(u.servers, [](const UpstreamServer& s) { return s.max_conns > 0; });
}

// Lines that promise something and do nothing.
void WarnOfIdleLines(const Upstream& u, const Directive& upstream, Loader& loader) {
  const bool sticks = u.sticky.kind != StickyKind::kNone;
  for (const Directive& d : upstream.block) {
    const bool is_policy =
        d.name == "sticky_policy" || (d.name == "sticky_strict" && u.sticky.strict);
    if (!sticks && (is_policy || d.name == "sticky_secret"))
      loader.Warn(d, fmt::format("\"{}\" has no effect without \"sticky\"", d.name));
    if (u.sticky.kind == StickyKind::kLearn && d.name == "sticky_secret")
      loader.Warn(d, "\"sticky_secret\" has no effect on \"sticky learn\": no id is shown");
    if (d.name == "least_sessions" && u.sticky.kind != StickyKind::kLearn)
      loader.Warn(d,
                  "\"least_sessions\" has no effect without \"sticky learn\": servers take turns");
    if (d.name == "server" && !StartsSlowly(u.method) && HasSlowStart(d))
      loader.Warn(d, fmt::format("\"slow_start\" has no effect with \"{}\"", RowOf(u.method).name));
    if (d.name == "queue" && !LimitsConnections(u))
      loader.Warn(d, fmt::format("\"queue\" has no effect: no server of upstream \"{}\" has "
                                 "\"max_conns\"",
                                 u.name));
  }
}

// A backup may stand in for a server under its name. Of two that are used side by side, one begins
// sessions which the other has from then on.
void NoticeSharedIds(const Upstream& u, const Directive& d, Config& config) {
  if (u.sticky.kind == StickyKind::kNone) return;
  std::map<std::string_view, std::string_view> servers;  // by id
  for (const UpstreamServer& server : u.servers) {
    if (server.route.empty() || server.backup || server.down || server.drain) continue;
    const auto [first, is_new] = servers.emplace(server.route, server.name);
    if (is_new) continue;
    config.notices.push_back(fmt::format(
        "upstream \"{}\": servers \"{}\" and \"{}\" have the same id \"{}\": sessions of "
        "both go to the first of them in {}",
        u.name, first->second, server.name, server.route, Where(d)));
    return;
  }
}

Status UpstreamBlock(Block& outer, const Directive& d) {
  const Result<HostPort> name = ParseHostPort(d.args[0], 0, false);
  if (name && name->has_port) {
    return At(d, fmt::format("upstream \"{}\" may not have port {}", name->host, name->port));
  }
  auto upstream = std::make_unique<Upstream>();
  upstream->name = d.args[0];
  upstream->index = static_cast<int>(outer.http->upstreams.size());
  upstream->declared_at = Where(d);
  upstream->keepalive_local = true;  // nginx: connections kept by default serve one location only
  if (!outer.loader.upstream_blocks.emplace(ToLower(upstream->name), upstream->index).second) {
    return At(d, fmt::format("duplicate upstream \"{}\"", upstream->name));
  }
  Block block{.loader = outer.loader,
              .context = kUpstream,
              .config = outer.config,
              .http = outer.http,
              .upstream = upstream.get()};
  if (Status s = outer.loader.Apply(d.block, block); !s) return s;
  if (Status s = CheckUpstream(*upstream, d); !s) return s;
  NoticeUnweighedSessions(*upstream, d, outer.config);
  WarnOfIdleLines(*upstream, d, outer.loader);
  NoticeSharedIds(*upstream, d, outer.config);
  outer.http->upstreams.push_back(std::move(upstream));
  return {};
}

Status Server(Block& b, const Directive& d) {
  Result<UpstreamServer> server = ParseUpstreamServer(b, d);
  if (!server) return server.error();
  b.upstream->servers.push_back(std::move(*server));
  return {};
}

Status Keepalive(Block& b, const Directive& d) {
  const auto n = ParseDecimal(d.args[0]);
  if (!n || *n > INT32_MAX) {
    return InvalidArgument(fmt::format(
        "invalid value \"{}\" in \"keepalive\" directive: it is 0 to {}", d.args[0], INT32_MAX));
  }
  if (d.args.size() == 2 && d.args[1] != "local") return InvalidParameter(d.args[1]);
  b.upstream->keepalive = static_cast<int>(*n);
  b.upstream->keepalive_local = d.args.size() == 2;
  return {};
}

// `zone NAME SIZE`; the size may be left out if another upstream has given it.
Status Zone(Block& b, const Directive& d) {
  constexpr int64_t kMinimum = int64_t{8} * 4096;  // nginx's
  b.upstream->zone = d.args[0];
  if (d.args[0].empty()) return InvalidArgument("invalid zone name \"\"");
  if (d.args.size() == 1) return {};
  const auto size = ParseSizeUnits(d.args[1], false);
  if (!size)
    return InvalidArgument(fmt::format("invalid zone size \"{}\": a size is 64k or 1m", d.args[1]));
  if (*size < kMinimum) {
    return InvalidArgument(
        fmt::format("zone \"{}\" is too small: it is at least {}k", d.args[0], kMinimum / 1024));
  }
  b.upstream->zone_size = static_cast<size_t>(*size);
  return {};
}

Status QueueRow(Block& b, const Directive& d) {
  Queue& queue = b.upstream->queue;
  const auto limit = ParseDecimal(d.args[0]);
  if (!limit || *limit < 1 || *limit > INT32_MAX)
    return InvalidArgument(fmt::format("invalid value \"{}\" in \"queue\" directive: it is 1 to {}",
                                       d.args[0], INT32_MAX));
  queue.limit = static_cast<int>(*limit);
  if (d.args.size() == 1) return {};
  const auto timeout = After(d.args[1], "timeout=");
  const auto time = timeout ? ParseTime(*timeout, false) : std::nullopt;
  if (!time || time->count() == 0)
    return InvalidParameter(d.args[1], "it is timeout=TIME, such as timeout=60s");
  queue.timeout = *time;
  return {};
}

using U = Upstream;

constexpr std::array kRows = std::to_array<Row>({
    {"upstream", kHttp, kOneArg, kBlock | kMany | kEarly, UpstreamBlock, "",
     "a group of servers under one name"},
    {"server", kUpstream, AtLeast(1), kMany, Server, "",
     "ADDRESS [weight=] [max_conns=] [max_fails=] [fail_timeout=] [backup] [down] "
     "[drain[=TIME[,keep]] [move=N/s]] "
     "[route=|sid=] [slow_start=] "
     "[resolve] [service=]"},
    {"zone", kUpstream, Takes(1, 2), kMany, Zone, "",
     "NAME [SIZE]: the peers' state is shared by all workers"},
    {"queue", kUpstream, Takes(1, 2), kOnce, QueueRow, "",
     "N [timeout=60s]: requests of a worker that wait while all servers are at max_conns"},
    {"keepalive", kUpstream, Takes(1, 2), kOnce, Keepalive, "32 local",
     "N [local]: idle connections that a worker keeps"},
    {"keepalive_requests", kUpstream, kOneArg, kOnce, Setting<Number<>, &U::keepalive_requests>,
     "1000", "requests on one kept connection"},
    {"keepalive_time", kUpstream, kOneArg, kOnce, Setting<Duration, &U::keepalive_time>, "1h",
     "age at which a kept connection is closed"},
    {"keepalive_timeout", kUpstream, kOneArg, kOnce, Setting<Duration, &U::keepalive_timeout>,
     "60s", "how long an idle connection is kept"},
});

}  // namespace

constinit const std::span<const Row> kUpstreamDirectives = kRows;

}  // namespace limpet::conf
