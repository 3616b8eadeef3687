// Second looks at sockets, for resets. libevent shows a reset as plain readability, so one that
// comes in the same edge as bytes is told by nothing but the next system call; if none is made, the
// connection stays. Whoever gets an edge has a look due. It is called off by any call on the socket
// that would have met the error; otherwise it is taken 50 to 100 ms later. O(1), no allocation, one
// timer for all.
#pragma once

#include "worker/net/loop.h"

namespace limpet::worker {

class SecondLook : private ListLink {
 public:
  SecondLook(Loop& loop, Callback look) : looks_(loop.second_looks()), look_(look) {}
  SecondLook(const SecondLook&) = delete;
  SecondLook& operator=(const SecondLook&) = delete;
  ~SecondLook() { CallOff(); }

  inline void SetDue();
  void CallOff() { Unlink(); }

 private:
  friend class SecondLooks;
  SecondLooks& looks_;
  Callback look_;
};

// Those of one loop, which owns this.
class SecondLooks {
 public:
  explicit SecondLooks(Loop& loop);
  SecondLooks(const SecondLooks&) = delete;
  SecondLooks& operator=(const SecondLooks&) = delete;

 private:
  friend class SecondLook;
  void Start();
  void OnTimer();
  void TakeAll(ListLink& these);

  ListLink fresh_;  // due since the timer last fired
  ListLink aged_;   // due for longer
  Timer timer_;
};

inline void SecondLook::SetDue() {
  Unlink();
  LinkBefore(looks_.fresh_);
  if (!looks_.timer_.armed()) looks_.Start();
}

}  // namespace limpet::worker
