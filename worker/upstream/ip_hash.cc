#include <algorithm>

#include "worker/upstream/lookup.h"
#include "worker/upstream/methods.h"

namespace limpet::worker {
namespace {

constexpr uint32_t kSeed =
    89;  // multiplier and modulus as in every nginx: clients must land where they did
constexpr uint32_t kMultiplier = 113;
constexpr uint32_t kModulus = 6271;

// IPv4: the first three bytes, so that a client behind a changing last byte stays. IPv6: all of the
// address.
std::string_view HashedBytes(const SocketAddress* client) {
  constexpr std::string_view kNone("\0\0\0", 3);
  if (client == nullptr) return kNone;
  if (client->family() == AF_INET) return client->ip_bytes().substr(0, 3);
  return client->family() == AF_INET6 ? client->ip_bytes() : kNone;
}

class IpHash final : public Balancer {
 public:
  Peer* Pick(const Tier& tier, PeerSelection& selection, Peer* bound, uint64_t now_ms) override {
    if (selection.hash == 0) selection.hash = kSeed;
    uint32_t hash = selection.hash;
    const std::string_view bytes = HashedBytes(selection.client);
    Peer* peer = PickByLookup(tier, selection, bound, now_ms, [&]() -> Peer& {
      for (const char byte : bytes) {
        hash = (hash * kMultiplier + static_cast<unsigned char>(byte)) % kModulus;
      }
      return PeerAtWeight(tier, hash % static_cast<uint32_t>(tier.total_weight));
    });
    // A retry goes on from the hash that found this peer.
    if (peer != nullptr) selection.hash = hash;
    return peer;
  }
};

}  // namespace

std::unique_ptr<Balancer> MakeIpHash(const MethodContext& /*context*/) {
  return std::make_unique<IpHash>();
}

}  // namespace limpet::worker
