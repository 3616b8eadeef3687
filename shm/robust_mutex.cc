#include "shm/robust_mutex.h"

#include <cerrno>
#include <cstdlib>

namespace limpet::shm {

void RobustMutex::Init() {
  pthread_mutexattr_t attributes;
  ::pthread_mutexattr_init(&attributes);
  ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  ::pthread_mutex_init(&mutex_, &attributes);
  ::pthread_mutexattr_destroy(&attributes);
}

RobustMutex::Owner RobustMutex::Lock() {
  const int error = ::pthread_mutex_lock(&mutex_);
  if (error == 0) return Owner::kFine;
  if (error == EOWNERDEAD) return Owner::kDied;
  std::abort();  // not a mutex any more: going on would spread the damage
}

std::optional<RobustMutex::Owner> RobustMutex::TryLock() {
  const int error = ::pthread_mutex_trylock(&mutex_);
  if (error == 0) return Owner::kFine;
  if (error == EOWNERDEAD) return Owner::kDied;
  if (error == EBUSY) return std::nullopt;
  std::abort();
}

void RobustMutex::MarkRepaired() { ::pthread_mutex_consistent(&mutex_); }

void RobustMutex::Unlock() { ::pthread_mutex_unlock(&mutex_); }

}  // namespace limpet::shm
