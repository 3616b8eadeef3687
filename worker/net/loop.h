// The event loop of a worker: libevent underneath, on plain events. One per process, used from one
// thread only.
//
// A pass of the loop is: wait for events and deliver them, run what was deferred, free what was
// handed to DeleteLater. So a handler may give away any object, itself included, and its frames
// still stand on live memory.
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "worker/net/callback.h"
#include "worker/net/first_reads.h"
#include "worker/net/list_link.h"
#include "worker/net/places.h"

namespace limpet::worker {

// Base of all that may be handed to Loop::DeleteLater.
class Deletable {
 public:
  virtual ~Deletable() = default;
};

class Loop;
class SecondLooks;
class TimerHeap;

// A call that runs soon: after the events of this pass, before the loop waits again. Scheduling one
// that is scheduled does nothing. Destroying it cancels it. No allocation.
class Deferred : private ListLink {
 public:
  Deferred(Loop& loop, Callback callback) : loop_(loop), callback_(callback) {}
  Deferred(const Deferred&) = delete;
  Deferred& operator=(const Deferred&) = delete;
  ~Deferred() { Cancel(); }

  void Schedule();
  void Cancel() { Unlink(); }
  bool scheduled() const { return linked(); }

 private:
  friend class Loop;
  Loop& loop_;
  Callback callback_;
};

// A configured time in the unit of NowMs().
inline uint64_t Ms(std::chrono::milliseconds time) { return static_cast<uint64_t>(time.count()); }

class Timer;

// The timers of one thing that ends as a whole: to disarm the group is to forget none, not even one
// that is added later. A group stands before its timers in their class, and lives as long as they.
class TimerGroup {
 public:
  TimerGroup() = default;
  TimerGroup(const TimerGroup&) = delete;
  TimerGroup& operator=(const TimerGroup&) = delete;

  void Disarm();
  bool armed() const;  // any of them

 private:
  friend class Timer;
  Timer* first_ = nullptr;
};

// One deadline. Lazy: moving it later, and disarming it, only store; it is added to the loop's heap
// again when it has been looked at too early. So a deadline per request costs a store. Destroying
// it disarms it.
class Timer {
 public:
  Timer(Loop& loop, Callback callback);
  Timer(Loop& loop, TimerGroup& group, Callback callback);
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer();

  void Arm(uint64_t ms);  // from now on, replacing an earlier deadline
  void Arm(std::chrono::milliseconds time) { Arm(Ms(time)); }
  void Disarm() { deadline_ms_ = 0; }
  bool armed() const { return deadline_ms_ != 0; }

 private:
  friend class TimerGroup;
  friend class TimerHeap;
  void OnFired(uint64_t now_ms);

  static constexpr uint32_t kNowhere = UINT32_MAX;

  Loop& loop_;
  Callback callback_;
  uint64_t deadline_ms_ = 0;  // 0: not armed
  Timer* next_in_group_ = nullptr;
  uint32_t place_ = kNowhere;  // in the loop's heap
};

// A signal, delivered from the loop and not from the handler's context. Destroying it restores the
// old disposition.
class SignalWatch {
 public:
  SignalWatch(Loop& loop, int signal_number, Callback callback);
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;
  ~SignalWatch();

 private:
  static void OnEvent(evutil_socket_t, short, void* self) noexcept;
  Callback callback_;
  event event_;
};

// Level-triggered readability (or writability) of a descriptor that is no connection: a listening
// socket, an eventfd, a netlink socket, c-ares' sockets. The descriptor must stay open while
// watched.
class FdWatch {
 public:
  enum class Interest : uint8_t { kRead, kWrite };
  FdWatch(Loop& loop, int fd, Callback on_ready, Interest interest = Interest::kRead);
  FdWatch(const FdWatch&) = delete;
  FdWatch& operator=(const FdWatch&) = delete;
  ~FdWatch() { Stop(); }

  void Start();
  void Stop();
  bool started() const { return started_; }

 private:
  static void OnEvent(evutil_socket_t, short, void* self) noexcept;
  Loop& loop_;
  Callback callback_;
  event event_;
  bool started_ = false;
};

class Loop {
 public:
  Loop();  // ignores SIGPIPE: a write to a closed connection is an error code, not a death
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void Run();      // until Stop
  void RunOnce();  // one pass; waits for an event if there is nothing to do
  void Stop() { stopped_ = true; }
  bool stopped() const { return stopped_; }

  // Frees the object at the end of this pass.
  void DeleteLater(std::unique_ptr<Deletable> object);

  // Runs what is deferred and frees what was given away, without waiting: for the end of a worker.
  void RunDead();

  // Milliseconds of CLOCK_MONOTONIC, read at most once a pass.
  uint64_t NowMs();

  // Of the connections whose events it delivers.
  Places& places() { return places_; }
  SecondLooks& second_looks() { return *second_looks_; }
  FirstReads& first_reads() { return first_reads_; }

  // For worker/net only.
  event_base* base() { return base_; }
  void NoteEvent() { found_event_ = true; }  // of a descriptor

 private:
  friend class Deferred;
  friend class Timer;
  void RunDeferred();
  void FreeDead();

  event_base* base_;
  Places places_;
  FirstReads first_reads_;
  std::unique_ptr<TimerHeap> timers_;
  std::unique_ptr<SecondLooks> second_looks_;
  ListLink deferred_;  // the list's head
  std::vector<std::unique_ptr<Deletable>> dead_;
  uint64_t now_ms_ = 0;       // 0: not read yet in this pass
  bool found_event_ = false;  // in this pass
  bool stopped_ = false;
};

}  // namespace limpet::worker
