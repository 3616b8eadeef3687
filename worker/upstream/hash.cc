#include <fmt/format.h>

#include "shm/crc32.h"
#include "worker/upstream/lookup.h"
#include "worker/upstream/methods.h"

namespace limpet::worker {
namespace {

// The classic memcached clients' hash: each rehash puts its number before the key and adds to the
// hash before it.
class Hash final : public Balancer {
 public:
  Peer* Pick(const Tier& tier, PeerSelection& selection, Peer* bound, uint64_t now_ms) override {
    if (selection.key.empty()) return PickRoundRobin(tier, selection, bound, now_ms);
    return PickByLookup(tier, selection, bound, now_ms, [&]() -> Peer& {
      selection.hash += Rehash(selection);
      return PeerAtWeight(tier, selection.hash % static_cast<uint32_t>(tier.total_weight));
    });
  }

 private:
  static uint32_t Rehash(PeerSelection& selection) {
    shm::Crc32Stream crc;
    if (selection.rehash > 0) crc.Add(fmt::format_int(selection.rehash).c_str());
    crc.Add(selection.key);
    ++selection.rehash;
    return (crc.value() >> 16) & 0x7fff;
  }
};

}  // namespace

std::unique_ptr<Balancer> MakeHash(const MethodContext& /*context*/) {
  return std::make_unique<Hash>();
}

}  // namespace limpet::worker
