#include "worker/health/watch.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "worker/upstream/downtime.h"

namespace limpet::worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr uint64_t kWithoutChecksMs = 1000;  // drains only: nobody waits for that line

}  // namespace

GroupWatch::GroupWatch(const GroupCheck::Env& env, UpstreamGroup& group,
                       const shm::PeerStates* states, const Sessions& sessions)
    : env_(env),
      group_(group),
      sessions_(sessions.table),
      lease_(states != nullptr ? states->watch_mutex() : nullptr) {
  if (sessions.table == nullptr) return;
  rebalancer_ = std::make_unique<Rebalancer>(Rebalancer::Env{.loop = env.loop,
                                                             .log = env.logs[0],
                                                             .group = group,
                                                             .zone = *sessions.zone,
                                                             .table = *sessions.table,
                                                             .shared = sessions.shared,
                                                             .store = sessions.store});
}

void GroupWatch::Tick() {
  if (!lease_.TryTake()) return;
  group_.Update();
  if (!watching_) Begin();
  for (const auto& check : checks_) check->Sync();
  group_.AdoptDrains();
  if (rebalancer_ != nullptr) rebalancer_->Start();
  WatchDrains();
}

void GroupWatch::Begin() {
  watching_ = true;
  AdoptResults();
  for (size_t i = 0; i < group_.conf().checks.size(); ++i) {
    checks_.push_back(std::make_unique<GroupCheck>(env_, group_, i));
  }
}

// A reload may have taken checks away: what they had found binds nobody any more. And who watched
// before us may have died between the results and what follows from them.
void GroupWatch::AdoptResults() {
  const size_t count = group_.conf().checks.size();
  const uint32_t ours = count >= 32 ? ~uint32_t{0} : (uint32_t{1} << count) - 1;
  const shm::PeerStates::Guard guard(group_.states());
  for (Peer& peer : group_.peers()) {
    if (!peer.is_in_place()) continue;
    shm::PeerStanding& standing = peer.state->standing();
    const bool failing = (standing.failing_checks.fetch_and(ours, kRelaxed) & ours) != 0;
    if (failing) {
      standing.flags.fetch_or(shm::kPeerUnhealthy, kRelaxed);
    } else {
      standing.flags.fetch_and(~uint32_t{shm::kPeerUnhealthy}, kRelaxed);
    }
    NoteDowntime(*peer.state, IsAway(peer), env_.loop.NowMs());
  }
}

void GroupWatch::Stop() {
  checks_.clear();
  watching_ = false;
  if (rebalancer_ != nullptr) rebalancer_->Stop();
  lease_.Release();
}

uint64_t GroupWatch::SessionsOf(const Peer& peer) const {
  return sessions_ == nullptr ? 0 : sessions_->PeerLive(sessions_->peers().Find(peer.server_id));
}

// Cookies and routes live with the clients: how many are left nobody knows, only a deadline ends
// them.
bool GroupWatch::IsDrained(const Peer& peer, uint64_t sessions) const {
  if (peer.conns() > 0) return false;
  if (peer.drain_is_over(env_.loop.NowMs())) return true;
  const conf::StickyKind kind = group_.conf().sticky.kind;
  if (kind == conf::StickyKind::kNone) return true;
  return kind == conf::StickyKind::kLearn && sessions == 0;
}

// A session may come back to one that was drained, from a store for example: until its deadline,
// that server is still missed.
void GroupWatch::WatchDrains() {
  for (Peer& peer : group_.peers()) {
    if (!peer.draining()) continue;
    const bool was_drained = (peer.state->standing().flags.load(kRelaxed) & shm::kPeerDrained) != 0;
    const uint64_t sessions = SessionsOf(peer);
    if (IsDrained(peer, sessions) == was_drained) continue;
    if (!was_drained) {
      TellDrained(peer, sessions);
      // Behind the line: should we die in between, the next one says it again rather than nobody.
      SetDrained(peer, true);
    } else if (!peer.drain_is_over(env_.loop.NowMs())) {
      SetDrained(peer, false);
    }
  }
}

void GroupWatch::TellDrained(const Peer& peer, uint64_t sessions) const {
  const std::string rest = sessions > 0
                               ? fmt::format("its time is over ({} sessions were left)", sessions)
                               : "its last session and its last connection have ended";
  const std::string line =
      fmt::format("peer {} in upstream \"{}\" is drained: {}", peer.name, group_.conf().name, rest);
  LIMPET_LOG(env_.logs[0], LogLevel::kNotice, "{}", line);
  env_.alerts.Add(LogLevel::kNotice, line);
}

void GroupWatch::SetDrained(Peer& peer, bool drained) {
  {
    const shm::PeerStates::Guard guard(group_.states());
    if (!peer.is_in_place() || !peer.draining()) return;
    std::atomic<uint32_t>& flags = peer.state->standing().flags;
    if (drained) {
      flags.fetch_or(shm::kPeerDrained, kRelaxed);
    } else {
      flags.fetch_and(~uint32_t{shm::kPeerDrained}, kRelaxed);
    }
  }
  if (env_.notes != nullptr) env_.notes->Changed(group_.conf().name, peer.name, WallMs());
}

Watch::Watch(Loop& loop, std::vector<std::unique_ptr<GroupWatch>> groups)
    : groups_(std::move(groups)), timer_(loop, Callback::To<&Watch::OnTimer>(this)) {
  const bool checks = std::any_of(groups_.begin(), groups_.end(),
                                  [](const auto& group) { return group->has_checks(); });
  interval_ms_ = checks ? shm::Lease::kRetryMs : kWithoutChecksMs;
  if (!groups_.empty()) OnTimer();
}

void Watch::OnTimer() {
  for (const auto& group : groups_) group->Tick();
  timer_.Arm(interval_ms_);
}

void Watch::Stop() {
  timer_.Disarm();
  for (const auto& group : groups_) group->Stop();
}

}  // namespace limpet::worker
