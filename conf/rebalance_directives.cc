// rebalance, and `move=` of a server that drains.
#include <array>

#include "conf/loader.h"
#include "conf/rebalance.h"
#include "conf/setting.h"
#include "conf/tables.h"

namespace limpet::conf {
namespace {

Status Parameter(const std::string& text, Rebalance* rebalance) {
  if (const auto rate = After(text, "rate=")) {
    const auto parsed = ParsePerSecond(*rate);
    if (!parsed)
      return InvalidParameter(text, "it is sessions a second, as 50/s, at most 1000000/s");
    rebalance->rate = *parsed;
  } else if (const auto idle = After(text, "idle=")) {
    const auto time = ParseTime(*idle, false);
    if (!time || time->count() == 0) return InvalidParameter(text, "it is a time above 0, as 2m");
    rebalance->idle = *time;
  } else if (const auto threshold = After(text, "threshold=")) {
    const auto share = ParseShare(*threshold);
    if (!share || *share <= 0) return InvalidParameter(text, "it is a share above 0, as 10%");
    rebalance->threshold = *share;
  } else {
    return InvalidParameter(text);
  }
  return {};
}

Status RebalanceRow(Block& b, const Directive& d) {
  std::vector<std::string> seen;
  for (const std::string& text : d.args) {
    if (Status s = Parameter(text, &b.upstream->rebalance); !s) return s;
    const std::string name = text.substr(0, text.find('='));
    if (std::ranges::find(seen, name) != seen.end())
      return Refuse(d, fmt::format("parameter \"{}\" is duplicate", name));
    seen.push_back(name);
  }
  if (b.upstream->rebalance.rate == 0) return Refuse(d, "\"rate\" parameter is not specified");
  return {};
}

constexpr std::array kRows = std::to_array<Row>({
    {"rebalance", kUpstream, Takes(1, 2, 3), kOnce, RebalanceRow, "",
     "rate=N/s [idle=2m] [threshold=10%]: learned sessions that are idle for so long, and held by "
     "no "
     "connection, move from servers with more than their share to those with less, so many a "
     "second, until all are within the threshold"},
});

// Who may move sessions, and whose.
Status CheckMoves(const Upstream& u, const SessionZone& zone, std::string_view what) {
  if (zone.norefresh) {
    return InvalidArgument(
        fmt::format("\"{}\" is not possible with \"norefresh\": how long a session "
                    "is idle is not known, in upstream \"{}\"",
                    what, u.name));
  }
  if (u.sticky.policy.failback != SessionPolicy::Failback::kNever) {
    return InvalidArgument(
        fmt::format("\"{}\" is not possible with \"failback\": sessions would go "
                    "back, in upstream \"{}\"",
                    what, u.name));
  }
  return {};
}

Status CheckIdle(const Upstream& u, const SessionZone& zone) {
  const Ms idle = u.rebalance.idle;
  if (idle >= zone.timeout) {
    return InvalidArgument(
        fmt::format("\"rebalance\" moves sessions that are idle for {} ms, and they are over after "
                    "{} ms (timeout), in upstream \"{}\"",
                    idle.count(), zone.timeout.count(), u.name));
  }
  if (idle < zone.free_after()) {
    return InvalidArgument(
        fmt::format("\"rebalance\" cannot tell before {} ms that no connection holds a session: "
                    "\"idle\" is too short in upstream \"{}\"",
                    zone.free_after().count(), u.name));
  }
  return {};
}

Status CheckOne(const Http& http, const Upstream& u) {
  const bool evens = u.rebalance.rate > 0;
  const bool leaves = std::ranges::any_of(
      u.servers, [](const UpstreamServer& server) { return server.drain_move > 0; });
  if (!evens && !leaves) return {};
  const std::string_view what = evens ? "rebalance" : "move";
  if (u.sticky.kind != StickyKind::kLearn) {
    return InvalidArgument(
        fmt::format("\"{}\" requires \"sticky learn\" in upstream \"{}\"", what, u.name));
  }
  if (u.zone.empty()) {
    return InvalidArgument(
        fmt::format("\"{}\" requires upstream \"{}\" to be in shared memory, add "
                    "a \"zone\" to it",
                    what, u.name));
  }
  const SessionZone& zone = http.session_zones[static_cast<size_t>(u.sticky.learn.zone)];
  if (Status s = CheckMoves(u, zone, what); !s) return s;
  return evens ? CheckIdle(u, zone) : Status{};
}

}  // namespace

constinit const std::span<const Row> kRebalanceDirectives = kRows;

Status CheckRebalance(const Http& http) {
  std::vector<const Upstream*> evening(http.session_zones.size(), nullptr);
  for (const auto& upstream : http.upstreams) {
    if (Status s = CheckOne(http, *upstream); !s)
      return InvalidArgument(fmt::format("{} in {}", s.error().message, upstream->declared_at));
    if (upstream->rebalance.rate == 0) continue;
    const Upstream*& other = evening[static_cast<size_t>(upstream->sticky.learn.zone)];
    if (other != nullptr) {
      return InvalidArgument(fmt::format(
          "\"rebalance\" of upstreams \"{}\" and \"{}\" is for the sessions of one zone "
          "in {}",
          other->name, upstream->name, upstream->declared_at));
    }
    other = upstream.get();
  }
  return {};
}

}  // namespace limpet::conf
