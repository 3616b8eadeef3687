#include "worker/upstream/least_load.h"
#include "worker/upstream/methods.h"

namespace limpet::worker {
namespace {

class LeastConn final : public Balancer {
 public:
  Peer* Pick(const Tier& tier, PeerSelection& selection, Peer* bound, uint64_t now_ms) override {
    return PickLeastLoaded(tier, selection, bound, now_ms,
                           [](const Peer& peer) -> uint64_t { return peer.conns(); });
  }
};

}  // namespace

std::unique_ptr<Balancer> MakeLeastConn(const MethodContext& /*context*/) {
  return std::make_unique<LeastConn>();
}

}  // namespace limpet::worker
