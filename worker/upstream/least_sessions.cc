#include "worker/upstream/least_load.h"
#include "worker/upstream/methods.h"

namespace limpet::worker {
namespace {

// New clients go where the fewest sessions are bound, or may be bound soon, per weight. Without a
// session table all are equal: round robin.
class LeastSessions final : public Balancer {
 public:
  explicit LeastSessions(const SessionCounts* const* counts) : counts_(counts) {}

  Peer* Pick(const Tier& tier, PeerSelection& selection, Peer* bound, uint64_t now_ms) override {
    const SessionCounts* counts = *counts_;
    return PickLeastLoaded(tier, selection, bound, now_ms, [counts](const Peer& peer) -> uint64_t {
      if (counts == nullptr) return 0;
      return counts->BoundTo(peer) + peer.state->opening.load(std::memory_order_relaxed);
    });
  }

 private:
  const SessionCounts* const* counts_;  // the group's, which may be set later
};

}  // namespace

std::unique_ptr<Balancer> MakeLeastSessions(const MethodContext& context) {
  return std::make_unique<LeastSessions>(context.counts);
}

}  // namespace limpet::worker
