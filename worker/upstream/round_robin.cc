// Smooth weighted round robin, and what all methods share with it.
#include <algorithm>

#include "worker/upstream/downtime.h"
#include "worker/upstream/least_load.h"
#include "worker/upstream/methods.h"

namespace limpet::worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// Nothing is to be weighed: told by a few loads, as every choice looks at all servers.
inline bool IsUnremarkable(const Peer& peer) {
  const shm::PeerStanding& standing = peer.state->standing();
  return standing.flags.load(kRelaxed) == 0 && standing.fails.load(kRelaxed) == 0 &&
         peer.conf->max_conns == 0 && !peer.conf->down && !peer.conf->drain && !peer.gone &&
         !peer.checking();
}

bool FailedTooOften(const Peer& peer, uint64_t now_ms) {
  if (!IsOverMaxFails(peer)) return false;
  return Since(now_ms, peer.state->standing().checked_ms.load(kRelaxed)) <=
         static_cast<uint64_t>(peer.conf->fail_timeout.count());
}

bool IsFull(const Peer& peer) {
  return peer.conf->max_conns > 0 && peer.conns() >= static_cast<uint32_t>(peer.conf->max_conns);
}

class RoundRobin final : public Balancer {
 public:
  Peer* Pick(const Tier& tier, PeerSelection& selection, Peer* bound, uint64_t now_ms) override {
    return PickRoundRobin(tier, selection, bound, now_ms);
  }
};

// A bound peer that was given more than its turn allows is used without touching the weights: only
// one sticky request in a row counts, or unbound clients would stay away from it for long.
bool BeyondItsTurn(const Tier& tier, const Peer& peer) {
  const int64_t low = -(int64_t{tier.total_weight} - peer.weight()) * tier.weight_scale;
  return peer.state->current_weight.load(kRelaxed) <= low;
}

}  // namespace

int SlowStartScale(const Peer& peer, int scale, uint64_t now_ms) {
  const uint64_t started = peer.state->standing().started_ms.load(kRelaxed);
  if (started == 0 || peer.conf->slow_start.count() == 0) return scale;
  const auto whole = static_cast<uint64_t>(peer.conf->slow_start.count());
  const uint64_t passed = Since(now_ms, started);
  if (passed >= whole) {
    peer.state->standing().started_ms.store(0, kRelaxed);
    return scale;
  }
  return std::max(1, static_cast<int>(static_cast<uint64_t>(scale) * passed / whole));
}

PeerCondition ConditionOf(const Peer& peer, uint64_t now_ms, bool bound_session) {
  if (IsUnremarkable(peer)) return PeerCondition::kReady;
  if (peer.down()) return PeerCondition::kDown;
  if (peer.draining() && (!bound_session || peer.drain_is_over(now_ms)))
    return PeerCondition::kDrained;
  if (FailedTooOften(peer, now_ms)) return PeerCondition::kDown;
  return IsFull(peer) ? PeerCondition::kFull : PeerCondition::kReady;
}

bool CanTake(const Peer& peer, uint64_t now_ms, bool bound_session) {
  return ConditionOf(peer, now_ms, bound_session) == PeerCondition::kReady;
}

bool IsCandidate(const Peer& peer, const PeerSelection& selection, uint64_t now_ms) {
  return !selection.tried.Has(peer.index) && (IsUnremarkable(peer) || CanTake(peer, now_ms, false));
}

Peer* UsableBound(Peer* bound, const PeerSelection& selection, uint64_t now_ms) {
  if (bound == nullptr || selection.tried.Has(bound->index)) return nullptr;
  return CanTake(*bound, now_ms, true) ? bound : nullptr;
}

int32_t Saturated(int64_t weight) {
  return static_cast<int32_t>(std::clamp<int64_t>(weight, INT32_MIN, INT32_MAX));
}

int64_t AddWeight(const Tier& tier, Peer& peer, uint64_t now_ms) {
  shm::PeerState& state = *peer.state;
  const int effective = state.effective_weight.load(kRelaxed);
  const int64_t added = int64_t{effective} * SlowStartScale(peer, tier.weight_scale, now_ms);
  state.current_weight.store(Saturated(state.current_weight.load(kRelaxed) + added), kRelaxed);
  if (effective < peer.weight()) state.effective_weight.store(effective + 1, kRelaxed);
  return added;
}

void TakeTurn(Peer& peer, int64_t total) {
  std::atomic<int32_t>& current = peer.state->current_weight;
  current.store(Saturated(current.load(kRelaxed) - total), kRelaxed);
}

Peer* PickRoundRobin(const Tier& tier, PeerSelection& selection, Peer* bound, uint64_t now_ms) {
  Peer* const sticky = UsableBound(bound, selection, now_ms);
  if (sticky != nullptr && BeyondItsTurn(tier, *sticky)) return sticky;

  Peer* best = nullptr;
  int64_t total = 0;
  for (Peer& peer : tier.peers) {
    if (!IsCandidate(peer, selection, now_ms)) continue;
    total += AddWeight(tier, peer, now_ms);
    if (best == nullptr ||
        peer.state->current_weight.load(kRelaxed) > best->state->current_weight.load(kRelaxed)) {
      best = &peer;
    }
  }
  if (sticky != nullptr) best = sticky;
  if (best == nullptr) return nullptr;
  TakeTurn(*best, total);
  return best;
}

std::unique_ptr<Balancer> MakeRoundRobin(const MethodContext& /*context*/) {
  return std::make_unique<RoundRobin>();
}

}  // namespace limpet::worker
