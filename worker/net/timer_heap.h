// When a loop's timers are to be looked at, the next one first. One event of libevent is for all of
// them: a timer costs a place here, and only while it is added; adding one allocates nothing once
// as many have been added before.
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace limpet::worker {

class Loop;
class Timer;

class TimerHeap {
 public:
  explicit TimerHeap(Loop& loop);
  TimerHeap(const TimerHeap&) = delete;
  TimerHeap& operator=(const TimerHeap&) = delete;
  ~TimerHeap();

  // Times are of Loop::NowMs(). A timer that is there already is moved.
  void Add(Timer& timer, uint64_t at_ms);
  void Remove(Timer& timer);  // one that is there
  uint64_t At(uint32_t place) const { return entries_[place].at_ms; }

 private:
  struct Entry {
    uint64_t at_ms;
    Timer* timer;
  };

  static void OnEvent(evutil_socket_t, short, void* self) noexcept;
  void OnFired();
  void Wake();  // when the first of them is due
  void Put(size_t place, Entry entry);
  void MoveUp(size_t place, Entry entry);
  void MoveDown(size_t place, Entry entry);

  Loop& loop_;
  std::vector<Entry> entries_;  // a binary heap; a timer knows its place
  event event_;
  uint64_t wakes_ms_ = 0;  // 0: the event is not added
  uint64_t fired_ms_ = 0;  // those due until then have been called
  bool firing_ = false;
};

}  // namespace limpet::worker
