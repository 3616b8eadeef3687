// Requests of one worker that wait for an upstream while its servers are at max_conns (`queue`):
// first come, first served. Each is asked to try again when one of the worker's own requests has
// ended, and from time to time while any wait: other workers free places, too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "worker/net/callback.h"
#include "worker/net/loop.h"

namespace limpet::worker {

class RequestQueue {
 public:
  RequestQueue(Loop& loop, int limit);
  RequestQueue(const RequestQueue&) = delete;
  RequestQueue& operator=(const RequestQueue&) = delete;

  // A place at the end, by the ticket that Leave takes; 0: the queue is full. `turn` is called from
  // the loop, again and again until the place is left; it may leave, join anew, and end requests.
  uint64_t Join(Callback turn);
  void Leave(uint64_t ticket) { waiting_.erase(ticket); }

  void Wake() {
    if (!waiting_.empty()) soon_.Schedule();
  }
  // Those that wait try before somebody new does.
  void GiveTurns();
  size_t size() const { return waiting_.size(); }

 private:
  void OnTimer();

  size_t limit_;
  uint64_t tickets_ = 0;
  std::map<uint64_t, Callback> waiting_;  // by ticket: in order of their coming
  bool giving_ = false;
  Deferred soon_;
  Timer timer_;
};

}  // namespace limpet::worker
