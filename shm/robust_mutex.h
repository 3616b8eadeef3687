// A mutex in shared memory that survives its owner: the next to lock it is told that the owner died
// inside, and must set right what the lock guards before it calls MarkRepaired() (until then the
// death is reported again and again). Boost's interprocess_mutex has no such notion: a worker
// killed inside would stop all others.
#pragma once

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

namespace limpet::shm {

// What Lock() throws in a process that does not wait, when another process keeps the lock. It is an
// exception because what can give up is far above what locks. Workers never see it.
struct LockBusy {};

// Workers wait for locks, which are held for microseconds. The master does not: a worker that is
// stopped inside a lock would stop the master, too, and with it the watchdog that ends that worker.
class LockPatience {
 public:
  static void WaitForNone();  // this process: not at all, but within a LockPatience
  // This process: for as long as it takes; the default. `*waits` is 1 while it waits for another
  // process, for the watchdog: who keeps the lock is to blame.
  static void WaitForAll(std::atomic<uint64_t>* waits = nullptr);

  // While it lives, this process waits for all locks together so long, and no longer.
  explicit LockPatience(std::chrono::milliseconds time);
  ~LockPatience();
  LockPatience(const LockPatience&) = delete;
  LockPatience& operator=(const LockPatience&) = delete;
};

// Does the work; false: it has broken off because another process keeps a lock that it needs. Such
// work must be able to begin again.
template <class Work>
[[nodiscard]] bool IfFree(Work work) {
  try {
    work();
    return true;
  } catch (const LockBusy&) {
    return false;
  }
}

class RobustMutex {
 public:
  enum class Owner { kFine, kDied };

  void Init();                                   // once, before anybody else can see it
  [[nodiscard]] Owner Lock();                    // throws LockBusy; see LockPatience
  [[nodiscard]] std::optional<Owner> TryLock();  // nothing: another has it
  void MarkRepaired();                           // by the holder, after kDied
  void Unlock();

 private:
  int LockHoweverLong();
  int LockWithin(std::chrono::nanoseconds time);

  pthread_mutex_t mutex_;
};

// Holds a lock while it lives. Of data that a death inside leaves whole, because what makes a
// change count is written last: there is nothing to repair. May throw LockBusy.
class RobustGuard {
 public:
  explicit RobustGuard(RobustMutex& mutex) : mutex_(mutex) {
    if (mutex_.Lock() == RobustMutex::Owner::kDied) mutex_.MarkRepaired();
  }
  ~RobustGuard() { mutex_.Unlock(); }
  RobustGuard(const RobustGuard&) = delete;
  RobustGuard& operator=(const RobustGuard&) = delete;

 private:
  RobustMutex& mutex_;
};

}  // namespace limpet::shm
