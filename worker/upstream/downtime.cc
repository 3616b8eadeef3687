#include "worker/upstream/downtime.h"

namespace limpet::worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

bool IsOverMaxFails(const Peer& peer) {
  const auto max_fails = static_cast<uint32_t>(peer.conf->max_fails);
  return max_fails > 0 && peer.state->standing().fails.load(kRelaxed) >= max_fails;
}

bool IsAway(const Peer& peer) {
  const uint32_t flags = peer.state->standing().flags.load(kRelaxed);
  return (flags & shm::kPeerUnhealthy) != 0 || IsOverMaxFails(peer);
}

void NoteDowntime(shm::PeerState& state, bool is_away, uint64_t now_ms) {
  const uint64_t since = state.down_since_ms.load(kRelaxed);
  if (is_away == (since != 0)) return;
  if (!is_away) state.downtime_ms.fetch_add(Since(now_ms, since), kRelaxed);
  state.down_since_ms.store(is_away ? now_ms : 0, kRelaxed);
}

// While two binaries run, the other one may have seen it come back, and not told us.
uint64_t AwaySinceMs(const Peer& peer) {
  return IsAway(peer) ? peer.state->down_since_ms.load(kRelaxed) : 0;
}

uint64_t DowntimeMs(const Peer& peer, uint64_t now_ms) {
  const uint64_t since = AwaySinceMs(peer);
  return peer.state->downtime_ms.load(kRelaxed) + (since == 0 ? 0 : Since(now_ms, since));
}

}  // namespace limpet::worker
