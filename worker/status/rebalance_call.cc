#include "worker/status/rebalance_call.h"

#include <fmt/format.h>

#include <utility>

#include "conf/units.h"

namespace limpet::worker {
namespace {

constexpr uint32_t kSlotsAtOnce = 512;  // a few microseconds

StatusReply BadBody(std::string_view text) { return ApiError(400, text); }

constexpr std::string_view kInStore =
    "its sessions are in a store, where other machines may use them: \"rebalance\" in the "
    "configuration asks the store for each, this does not";

}  // namespace

RebalanceCall::RebalanceCall(shm::SessionTable& table, std::vector<MoveServer> servers,
                             uint64_t idle_ms, double threshold, bool dry)
    : moves_(table, nullptr), before_(servers), idle_ms_(idle_ms), dry_(dry) {
  moves_.SetServers(std::move(servers));
  if (!IsEven(moves_.Loads(), threshold)) moves_.PlanEven();
}

bool RebalanceCall::Step(std::chrono::microseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (moves_.more()) {
    for (const MoveCandidate& session : moves_.Find(kSlotsAtOnce, idle_ms_)) {
      if (!dry_) moves_.Move(session);
    }
    if (std::chrono::steady_clock::now() >= end) break;
  }
  return moves_.more();
}

StatusReply RebalanceCall::Reply() {
  uint64_t moved = 0;
  Json servers = Json::array();
  std::vector<ServerLoad> loads;
  for (const MoveServer& server : before_) loads.push_back(server.load);
  const std::vector<uint64_t> targets = EvenTargets(loads);
  for (size_t i = 0; i < before_.size(); ++i) {
    const MoveServer& server = moves_.servers()[i];
    moved += server.given;
    const bool shares = server.load.role == LoadRole::kShares;
    servers.push_back({{"server", server.name},
                       {"sessions", before_[i].load.sessions},
                       {"share", shares ? Json(targets[i]) : Json(nullptr)},
                       {"gives", server.given},
                       {"takes", server.taken}});
  }
  return Good({{"dry_run", dry_}, {"moved", moved}, {"servers", std::move(servers)}});
}

std::string_view WhyNoMoves(const StatusSource& source, const conf::Upstream& upstream) {
  if (upstream.sticky.kind != conf::StickyKind::kLearn)
    return "the upstream has no \"sticky learn\"";
  const auto at = static_cast<size_t>(upstream.sticky.learn.zone);
  if (source.sessions[at] == nullptr) return "its session zone is not in use";
  if (source.http.session_zones[at].norefresh)
    return "with \"norefresh\" nobody knows how long a session is idle";
  if (upstream.sticky.policy.failback != conf::SessionPolicy::Failback::kNever)
    return "with \"failback\" sessions would go back";
  return "";
}

StatusReply BeginRebalance(const StatusSource& source, std::string_view name, const Json& body,
                           std::optional<RebalanceCall>* call) {
  UpstreamGroup* const group = FindUpstream(source, name);
  if (group == nullptr) return NotFound("no such upstream");
  for (const auto& [key, value] : body.items()) {
    if (key != "dry_run" && key != "idle") return BadBody(fmt::format("unknown key \"{}\"", key));
  }
  if (body.contains("dry_run") && !body["dry_run"].is_boolean())
    return BadBody("\"dry_run\" must be true or false");
  const bool dry = body.contains("dry_run") && body["dry_run"].get<bool>();
  const conf::Upstream& upstream = group->conf();
  if (const std::string_view why = WhyNoMoves(source, upstream); !why.empty())
    return ApiError(409, why);
  const auto at = static_cast<size_t>(upstream.sticky.learn.zone);
  const conf::SessionZone& zone = source.http.session_zones[at];
  if (zone.store >= 0 && !dry) return ApiError(409, kInStore);
  conf::Ms idle = upstream.rebalance.IdleIn(zone);
  if (body.contains("idle")) {
    const auto given = body["idle"].is_string()
                           ? conf::ParseTime(body["idle"].get<std::string>(), false)
                           : std::nullopt;
    if (!given || *given < zone.free_after()) {
      return BadBody(
          fmt::format("\"idle\" must be a time of {} ms at least, such as \"2m\": before "
                      "that a connection may hold a session",
                      zone.free_after().count()));
    }
    idle = *given;
  }
  call->emplace(*source.sessions[at], LoadsOf(*group, *source.sessions[at]),
                static_cast<uint64_t>(idle.count()), upstream.rebalance.threshold, dry);
  return {};
}

}  // namespace limpet::worker
