// An upstream at work in one worker: its peers and balancing, its kept connections, and how
// sessions stick to it.
#pragma once

#include <fmt/core.h>

#include <chrono>
#include <memory>

#include "shm/counters.h"
#include "shm/traffic.h"
#include "worker/http/proxy/answer_size.h"
#include "worker/http/proxy/endless.h"
#include "worker/http/proxy/request_queue.h"
#include "worker/sticky/first_requests.h"
#include "worker/sticky/sticky.h"
#include "worker/upstream/name_watch.h"
#include "worker/upstream/pool.h"
#include "worker/upstream/upstream_group.h"

namespace limpet::worker {

class UpstreamRuntime {
 public:
  UpstreamRuntime(Loop& loop, const conf::Upstream& conf, shm::PeerStates* states, int slot,
                  const StickySessions& sessions)
      : group(conf, states, slot),
        pool(loop, conf),
        sticky(MakeSticky(conf, group, sessions)),
        first(conf.sticky.first_wait),
        queue(loop, conf.queue.limit),
        endless(loop) {
    group.set_on_change(Callback::To<&UpstreamRuntime::OnPeersChanged>(this));
  }

  UpstreamGroup group;
  UpstreamPool pool;
  AnswerSize answers;
  std::unique_ptr<StickyPolicy> sticky;  // null: requests do not stick
  FirstRequests first;
  RequestQueue queue;                // of requests for which all servers are full
  EndlessExchanges endless;          // those that only the end of a drain ends
  std::unique_ptr<NameWatch> names;  // null: no server is resolved at run time
  // This worker's, of its requests; null: they are not counted.
  shm::TrafficLine* traffic = nullptr;

  // A request has found no live server: counted each time, logged now and then.
  void OnNoLivePeers(shm::Counters& counters, uint64_t now_ms);
  // The queue has changed.
  void TellQueue() {
    if (traffic != nullptr) traffic->SetWaiting(queue.size());
  }

 private:
  uint64_t tell_again_ms_ = 0;

  void OnPeersChanged() {
    pool.KeepOnly(group.peers());
    first.Forget();
    if (sticky != nullptr) sticky->OnPeersChanged();
  }
};

inline void UpstreamRuntime::OnNoLivePeers(shm::Counters& counters, uint64_t now_ms) {
  constexpr std::chrono::minutes kTellEvery{1};
  counters.incidents.no_live_upstreams.fetch_add(1, std::memory_order_relaxed);
  if (now_ms < tell_again_ms_) return;
  tell_again_ms_ = now_ms + static_cast<uint64_t>(std::chrono::milliseconds(kTellEvery).count());
  counters.alerts.AddOncePer(
      kTellEvery, LogLevel::kError,
      fmt::format("no live upstreams in upstream \"{}\"", group.conf().name));
}

}  // namespace limpet::worker
