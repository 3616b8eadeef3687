// Second looks at sockets, for resets. libevent shows a reset as plain readability, so one that
// comes in the same edge as bytes is told by nothing but the next system call; if none is made, the
// connection stays. Whoever gets an edge has a look due. It is called off by any call on the socket
// that would have met the error; otherwise it is taken 50 to 100 ms later. O(1), no allocation, one
// timer for all. What is due at leisure is taken after 1 to 2 ms in the first pass that finds no
// event, and 50 to 100 ms later in any.
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

  // Takes at once what is due at leisure: for who needs to know of all that have gone. What they
  // find is told by the next pass.
  void Hurry();

  // For the loop: whether something waits for a pass that finds no event.
  bool seeks_leisure() const { return leisure_.linked() || aged_leisure_.linked(); }
  void OnLeisure();

 private:
  friend class SecondLook;
  inline void Add(ListLink& look, ListLink& list, Timer& timer, uint64_t ms);
  void OnTimer();
  void OnPause();
  void TakeAll(ListLink& these);

  static constexpr uint64_t kAgeMs = 50, kPauseMs = 1;

  ListLink fresh_;  // due since the timer last fired
  ListLink aged_;   // due for longer
  // The same of those that are due at leisure; before, they wait for their own timer twice.
  ListLink leisure_, aged_leisure_;
  ListLink early_, paused_;
  Timer timer_, pause_;
};

inline void SecondLooks::Add(ListLink& look, ListLink& list, Timer& timer, uint64_t ms) {
  look.Unlink();
  look.LinkBefore(list);
  if (!timer.armed()) timer.Arm(ms);
}

inline void SecondLook::SetDue() {
  looks_.Add(*this, looks_.fresh_, looks_.timer_, SecondLooks::kAgeMs);
}
inline void SecondLook::SetDueAtLeisure() {
  looks_.Add(*this, looks_.early_, looks_.pause_, SecondLooks::kPauseMs);
}

}  // namespace limpet::worker
