#include <algorithm>

#include "worker/upstream/least_load.h"
#include "worker/upstream/methods.h"

namespace limpet::worker {
namespace {

constexpr uint64_t kMostMs = 5000;  // slower ones are equally bad: connections decide
constexpr uint64_t kClusterMs =
    20;  // times this near count as equal, so that round robin can share
constexpr uint64_t kMostHalvings = 31;

// The least average response time, times the requests that would wait for it.
class LeastTime final : public Balancer {
 public:
  explicit LeastTime(bool last_byte) : last_byte_(last_byte) {}

  Peer* Pick(const Tier& tier, PeerSelection& selection, Peer* bound, uint64_t now_ms) override {
    return PickLeastLoaded(tier, selection, bound, now_ms,
                           [this, now_ms](const Peer& peer) { return Estimate(peer, now_ms); });
  }

 private:
  uint64_t Estimate(const Peer& peer, uint64_t now_ms) const {
    const shm::PeerState& state = *peer.state;
    uint64_t time = last_byte_ ? state.response_time_ms.load() : state.header_time_ms.load();
    // A peer that was not asked for long is forgiven step by step, or it would never get a chance
    // to show better.
    const auto every = static_cast<uint64_t>(peer.conf->fail_timeout.count());
    const uint64_t unasked = Since(now_ms, state.standing().checked_ms.load());
    if (unasked > every) time >>= std::min(unasked / (every + 1000), kMostHalvings);
    time = std::max(time, InflightMs(state, now_ms));
    time = time > kMostMs ? kMostMs : time + kClusterMs - time % kClusterMs;
    return time * (1 + peer.conns());
  }

  // How long the requests have run on average that are not finished, where they are counted.
  static uint64_t InflightMs(const shm::PeerState& state, uint64_t now_ms) {
    const uint64_t requests = state.inflight.load();
    if (requests == 0) return 0;
    return Since(now_ms, state.inflight_since_ms.load() / requests);
  }

  bool last_byte_;
};

}  // namespace

std::unique_ptr<Balancer> MakeLeastTime(const MethodContext& context) {
  return std::make_unique<LeastTime>(context.conf.least_time_last_byte);
}

}  // namespace limpet::worker
