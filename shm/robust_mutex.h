// A mutex in shared memory that survives its owner: the next to lock it is told that the owner died
// inside, and must set right what the lock guards before it calls MarkRepaired() (until then the
// death is reported again and again). Boost's interprocess_mutex has no such notion: a worker
// killed inside would stop all others.
#pragma once

#include <pthread.h>

#include <optional>

namespace limpet::shm {

class RobustMutex {
 public:
  enum class Owner { kFine, kDied };

  void Init();  // once, before anybody else can see it
  [[nodiscard]] Owner Lock();
  [[nodiscard]] std::optional<Owner> TryLock();  // nothing: another has it
  void MarkRepaired();                           // by the holder, after kDied
  void Unlock();

 private:
  pthread_mutex_t mutex_;
};

}  // namespace limpet::shm
