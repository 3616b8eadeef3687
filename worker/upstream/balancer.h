// Which peer takes a request. One balancer per group and worker; semantics are nginx's, so that the
// same configuration places the same keys at the same peers. Implementations: one .cc per method,
// listed in methods.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "worker/upstream/peer.h"
#include "worker/upstream/peer_selection.h"

namespace limpet::worker {

class UpstreamGroup;

// Sessions bound to a peer, for least_sessions.
class SessionCounts {
 public:
  virtual uint64_t BoundTo(const Peer& peer) const = 0;

 protected:
  ~SessionCounts() = default;
};

// The primaries or the backups of a group.
struct Tier {
  std::span<Peer> peers;
  int total_weight = 0;
  int weight_scale = 1;       // of current weights, so that slow start has steps even at weight 1
  std::vector<int64_t> ends;  // of each peer's share, where they are laid out one behind another
};

class Balancer {
 public:
  virtual ~Balancer() = default;

  // A peer of the tier that can take the request, not yet tried, or null. `bound` (or null) is
  // preferred if it can; it is of this tier. Called under the group's lock.
  virtual Peer* Pick(const Tier& tier, PeerSelection& selection, Peer* bound, uint64_t now_ms) = 0;
};

// Shared by the methods.

// Whether a peer can take a request now, or why not.
enum class PeerCondition : uint8_t {
  kReady,
  kFull,    // at max_conns
  kDown,    // configured so, unhealthy, or over max_fails
  kDrained  // draining, and the request is none of its sessions' or their time is over
};
// `bound_session`: the request belongs to one of its sessions, which a draining peer still serves.
PeerCondition ConditionOf(const Peer& peer, uint64_t now_ms, bool bound_session);
bool CanTake(const Peer& peer, uint64_t now_ms, bool bound_session);
// CanTake and not tried yet.
bool IsCandidate(const Peer& peer, const PeerSelection& selection, uint64_t now_ms);
// `bound` if it was not tried and can take a request of its sessions, else null.
Peer* UsableBound(Peer* bound, const PeerSelection& selection, uint64_t now_ms);
// One smooth-weighted-round-robin step of a candidate: adds its weight, restores some after
// failures; the weight added. Turns stop at the ends of their type: a configuration may give
// weights whose sums pass them.
int64_t AddWeight(const Tier& tier, Peer& peer, uint64_t now_ms);
// The candidate that was picked gives up what all of them were given.
void TakeTurn(Peer& peer, int64_t total);
int32_t Saturated(int64_t weight);
// Smooth weighted round robin over the candidates; sticky requests count in the weights as in
// nginx.
Peer* PickRoundRobin(const Tier& tier, PeerSelection& selection, Peer* bound, uint64_t now_ms);

}  // namespace limpet::worker
