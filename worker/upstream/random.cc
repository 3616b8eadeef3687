#include <random>

#include "worker/upstream/lookup.h"
#include "worker/upstream/methods.h"

namespace limpet::worker {
namespace {

// By weight. Seeded when the group is made, after the fork: workers differ.
class RandomPoint {
 public:
  Peer& operator()(const Tier& tier) {
    std::uniform_int_distribution<uint32_t> points(0, static_cast<uint32_t>(tier.total_weight) - 1);
    return PeerAtWeight(tier, points(engine_));
  }

 private:
  std::minstd_rand engine_{std::random_device{}()};
};

class Random final : public Balancer {
 public:
  Peer* Pick(const Tier& tier, PeerSelection& selection, Peer* bound, uint64_t now_ms) override {
    return PickByLookup(tier, selection, bound, now_ms, [&]() -> Peer& { return point_(tier); });
  }

 private:
  RandomPoint point_;
};

// Two by chance, of which the one with fewer connections per weight is taken.
class RandomTwo final : public Balancer {
 public:
  Peer* Pick(const Tier& tier, PeerSelection& selection, Peer* bound, uint64_t now_ms) override {
    if (selection.lookups > kMostLookups || tier.peers.size() < 2) {
      return PickRoundRobin(tier, selection, bound, now_ms);
    }
    if (Peer* sticky = UsableBound(bound, selection, now_ms)) return sticky;
    Peer* first = nullptr;
    do {
      Peer& peer = point_(tier);
      if (&peer == first || !IsCandidate(peer, selection, now_ms)) continue;
      if (first != nullptr) return LessLoaded(*first, peer);
      first = &peer;
    } while (++selection.lookups <= kMostLookups);
    return PickRoundRobin(tier, selection, bound, now_ms);
  }

 private:
  static Peer* LessLoaded(Peer& first, Peer& second) {
    const uint64_t a = uint64_t{first.conns()} * static_cast<uint64_t>(second.weight());
    const uint64_t b = uint64_t{second.conns()} * static_cast<uint64_t>(first.weight());
    return b > a ? &first : &second;
  }

  RandomPoint point_;
};

}  // namespace

std::unique_ptr<Balancer> MakeRandom(const MethodContext& /*context*/) {
  return std::make_unique<Random>();
}
std::unique_ptr<Balancer> MakeRandomTwo(const MethodContext& /*context*/) {
  return std::make_unique<RandomTwo>();
}

}  // namespace limpet::worker
