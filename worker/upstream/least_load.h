// The common shape of least_conn, least_time and least_sessions: the candidate with the least load
// per weight; among equals, round robin.
#pragma once

#include "worker/upstream/balancer.h"

namespace limpet::worker {

// `load(peer)` gives an uint64_t; it is compared as load / weight.
template <class Load>
Peer* PickLeastLoaded(const Tier& tier, PeerSelection& selection, Peer* bound, uint64_t now_ms,
                      const Load& load) {
  if (Peer* sticky = UsableBound(bound, selection, now_ms)) return sticky;

  Peer* best = nullptr;
  uint64_t best_load = 0;
  bool many = false;
  const auto against_best = [&](const Peer& peer, uint64_t value) {  // <0: less loaded
    const uint64_t mine = value * static_cast<uint64_t>(best->weight());
    const uint64_t other = best_load * static_cast<uint64_t>(peer.weight());
    return mine < other ? -1 : (mine > other ? 1 : 0);
  };
  for (Peer& peer : tier.peers) {
    if (!IsCandidate(peer, selection, now_ms)) continue;
    const uint64_t value = load(peer);
    const int order = best == nullptr ? -1 : against_best(peer, value);
    if (order < 0) {
      best = &peer;
      best_load = value;
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
    if (against_best(peer, load(peer)) != 0) continue;
    total += AddWeight(tier, peer, now_ms);
    if (peer.state->current_weight.load() > turn->state->current_weight.load()) turn = &peer;
  }
  TakeTurn(*turn, total);
  return turn;
}

}  // namespace limpet::worker
