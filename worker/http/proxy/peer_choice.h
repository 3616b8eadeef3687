// Which peer a request goes to: its session's, one of the balancer's choice, or none yet. What
// sticky_policy says meets here with the state of the peers.
#pragma once

#include <cstdint>

#include "worker/http/proxy/upstream_runtime.h"

namespace limpet::worker {

struct PeerChoice {
  enum class Kind : uint8_t {
    kPeer,
    kWait,   // a place under max_conns may become free: in the queue, if there is one
    kRefuse  // `code`, and no other peer
  };
  Kind kind = Kind::kRefuse;
  Peer* peer = nullptr;  // of kPeer: accounted for, until selection.current is given to Done
  int code = 502;
  bool by_policy = false;  // kRefuse: not for want of a live peer
};

// Also says in `sticky` what has become of the session. May be called again after kWait, and after
// an attempt that failed.
PeerChoice ChoosePeer(UpstreamRuntime& upstream, PeerSelection& selection, StickyState& sticky,
                      uint64_t now_ms);

}  // namespace limpet::worker
