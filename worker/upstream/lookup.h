// What hash, ip_hash and random share: they look peers up by a number and give up to round robin
// after too many lookups.
#pragma once

#include <algorithm>
#include <cstdint>

#include "worker/upstream/balancer.h"

namespace limpet::worker {

constexpr int kMostLookups = 20;

// The peer at `point` (0 <= point < total weight) of the tier laid out by weight.
inline Peer& PeerAtWeight(const Tier& tier, uint32_t point) {
  const auto end = std::upper_bound(tier.ends.begin(), tier.ends.end() - 1, int64_t{point});
  return tier.peers[static_cast<size_t>(end - tier.ends.begin())];
}

// Asks `next()` for points until one leads to a candidate; round robin's choice when lookups are
// used up.
template <class NextPeer>
Peer* PickByLookup(const Tier& tier, PeerSelection& selection, Peer* bound, uint64_t now_ms,
                   const NextPeer& next) {
  if (selection.lookups > kMostLookups || tier.peers.size() < 2) {
    return PickRoundRobin(tier, selection, bound, now_ms);
  }
  if (Peer* sticky = UsableBound(bound, selection, now_ms)) return sticky;
  do {
    Peer& peer = next();
    if (IsCandidate(peer, selection, now_ms)) return &peer;
  } while (++selection.lookups <= kMostLookups);
  return PickRoundRobin(tier, selection, bound, now_ms);
}

}  // namespace limpet::worker
