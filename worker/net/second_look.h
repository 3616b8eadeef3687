// Second looks at sockets, for resets. libevent shows a reset as plain readability, so one that
// comes in the same edge as bytes is told by nothing but the next system call; if none is made, the
// connection stays. Whoever gets an edge has a look due. It is called off by any call on the socket
// that would have met the error; otherwise it is taken 50 to 100 ms later. O(1), no allocation, one
// timer for all. What can be looked at whenever there is time for it is taken in the first pass
// that finds no event, and at the latest then.
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
  inline void SetDueAtLeisure();
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

  // For the loop.
  bool any_at_leisure() const { return fresh_leisure_.linked() || aged_leisure_.linked(); }
  void OnLeisure();

 private:
  friend class SecondLook;
  inline void Add(ListLink& look, ListLink& list);
  void Start();
  void OnTimer();
  void TakeAll(ListLink& these);

  ListLink fresh_;                         // due since the timer last fired
  ListLink aged_;                          // due for longer
  ListLink fresh_leisure_, aged_leisure_;  // the same of those that are due at leisure
  Timer timer_;
};

inline void SecondLooks::Add(ListLink& look, ListLink& list) {
  look.Unlink();
  look.LinkBefore(list);
  if (!timer_.armed()) Start();
}

inline void SecondLook::SetDue() { looks_.Add(*this, looks_.fresh_); }
inline void SecondLook::SetDueAtLeisure() { looks_.Add(*this, looks_.fresh_leisure_); }

}  // namespace limpet::worker
