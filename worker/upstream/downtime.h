// Since when a peer is away because requests or checks fail there, and for how long it was: for
// status pages.
#pragma once

#include <cstdint>

#include "worker/upstream/peer.h"

namespace limpet::worker {

// It has failed max_fails times since its last success. After fail_timeout it gets one request
// again, but it is back only when that has succeeded.
bool IsOverMaxFails(const Peer& peer);
// That, or its checks fail.
bool IsAway(const Peer& peer);

// After each change of what is told there: its downtime begins or ends. Under the group's lock.
void NoteDowntime(shm::PeerState& state, bool is_away, uint64_t now_ms);
// All of it so far, and since when it is away; 0: it is not.
uint64_t DowntimeMs(const Peer& peer, uint64_t now_ms);
uint64_t AwaySinceMs(const Peer& peer);

}  // namespace limpet::worker
