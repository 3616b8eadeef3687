// The common shape of least_conn, least_time and least_sessions: the candidate with the least load
// per weight; among equals, round robin. The weight of a peer that starts slowly grows: so does the
// load that it may have.
#pragma once

#include "worker/upstream/balancer.h"

namespace limpet::worker {

// The share of its weight that a recovering peer gets (`slow_start`), of `scale`; at least one
// step.
int SlowStartScale(const Peer& peer, int scale, uint64_t now_ms);

// `load(peer)` gives an uint64_t; it is compared as load / weight.
template <class Load>
Peer* PickLeastLoaded(const Tier& tier, PeerSelection& selection, Peer* bound, uint64_t now_ms,
                      const Load& load) {
  if (Peer* sticky = UsableBound(bound, selection, now_ms)) return sticky;

  const auto weight_of = [&](const Peer& peer) {
    const auto weight = static_cast<uint64_t>(peer.weight());
    if (tier.weight_scale == 1) return weight;  // none starts slowly
    return weight * static_cast<uint64_t>(SlowStartScale(peer, tier.weight_scale, now_ms));
  };
  Peer* best = nullptr;
  uint64_t best_load = 0;
  uint64_t best_weight = 0;
  bool many = false;
  const auto against_best = [&](uint64_t value, uint64_t weight) {  // <0: less loaded
    const uint64_t mine = value * best_weight;
    const uint64_t other = best_load * weight;
    return mine < other ? -1 : (mine > other ? 1 : 0);
  };
  for (Peer& peer : tier.peers) {
    if (!IsCandidate(peer, selection, now_ms)) continue;
    const uint64_t value = load(peer);
    const uint64_t weight = weight_of(peer);
    const int order = best == nullptr ? -1 : against_best(value, weight);
    if (order < 0) {
      best = &peer;
      best_load = value;
      best_weight = weight;
      many = false;
    } else if (order == 0) {
      many = true;
    }
  }
  if (best == nullptr || !many) return best;

  int64_t total = 0;
  Peer* turn = best;
  for (Peer& peer : tier.peers) {
    if (&peer < best || !IsCandidate(peer, selection, now_ms)) continue;
    if (against_best(load(peer), weight_of(peer)) != 0) continue;
    total += AddWeight(tier, peer, now_ms);
    if (peer.state->current_weight.load() > turn->state->current_weight.load()) turn = &peer;
  }
  TakeTurn(*turn, total);
  return turn;
}

}  // namespace limpet::worker
