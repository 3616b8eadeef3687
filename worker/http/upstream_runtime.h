// An upstream at work in one worker: its peers and balancing, its kept connections, and how
// sessions stick to it.
#pragma once

#include <memory>

#include "worker/http/endless.h"
#include "worker/http/request_queue.h"
#include "worker/sticky/sticky.h"
#include "worker/upstream/name_watch.h"
#include "worker/upstream/pool.h"
#include "worker/upstream/upstream_group.h"

namespace limpet::worker {

class UpstreamRuntime {
 public:
  UpstreamRuntime(Loop& loop, const conf::Upstream& conf, shm::PeerStates* states, int slot,
                  const conf::SessionZone* zone, shm::SessionTable* sessions)
      : group(conf, states, slot),
        pool(loop, conf),
        sticky(MakeSticky(conf, group, zone, sessions)),
        queue(loop, conf.queue.limit),
        endless(loop) {
    group.set_on_change(Callback::To<&UpstreamRuntime::OnPeersChanged>(this));
  }

  UpstreamGroup group;
  UpstreamPool pool;
  std::unique_ptr<StickyPolicy> sticky;  // null: requests do not stick
  RequestQueue queue;                    // of requests for which all servers are full
  EndlessExchanges endless;              // those that only the end of a drain ends
  std::unique_ptr<NameWatch> names;      // null: no server is resolved at run time

 private:
  void OnPeersChanged() {
    pool.KeepOnly(group.peers());
    if (sticky != nullptr) sticky->OnPeersChanged();
  }
};

}  // namespace limpet::worker
