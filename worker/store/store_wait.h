// Who waits for a store, and those who wait for the same answer of it.
#pragma once

#include <cstddef>
#include <utility>

#include "worker/net/callback.h"
#include "worker/net/loop.h"

namespace limpet::worker {

// One who waits. Destroying it cancels the wait.
class StoreWait {
 public:
  explicit StoreWait(Callback on_end) : callback_(on_end) { link_.wait = this; }
  StoreWait(const StoreWait&) = delete;
  StoreWait& operator=(const StoreWait&) = delete;
  ~StoreWait() { Cancel(); }

  void Cancel() {
    link_.Unlink();
    if (size_t* const count = std::exchange(count_, nullptr)) --*count;
  }
  bool waiting() const { return count_ != nullptr; }

 private:
  friend class StoreWaiters;
  struct Link : ListLink {
    StoreWait* wait = nullptr;
  };
  Callback callback_;
  size_t* count_ = nullptr;  // of all who wait
  Link link_;
};

// Those who wait for one answer. It may go only when nobody is left.
class StoreWaiters {
 public:
  // `count`: in which they are counted, with those of other answers; outlives them all.
  explicit StoreWaiters(size_t* count) : count_(count) {}

  // It waits for this alone from now on.
  void Join(StoreWait* wait) {
    wait->Cancel();
    wait->count_ = count_;
    wait->link_.LinkBefore(waiting_);
    ++*count_;
  }
  // Each is called once and waits no more; who is told may cancel others, and join other answers.
  void Tell() {
    ListLink waiting;
    waiting.TakeAllOf(waiting_);
    while (waiting.linked()) {
      StoreWait* const wait = static_cast<StoreWait::Link*>(waiting.next)->wait;
      wait->Cancel();
      wait->callback_();
    }
  }

 private:
  size_t* const count_;
  ListLink waiting_;  // of StoreWait::Link
};

}  // namespace limpet::worker
