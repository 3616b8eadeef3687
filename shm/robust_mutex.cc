#include "shm/robust_mutex.h"

#include <cerrno>
#include <cstdlib>
#include <ctime>

namespace limpet::shm {
namespace {

using std::chrono::nanoseconds;

bool g_waits = true;
std::atomic<uint64_t>* g_says_so = nullptr;  // while it waits; may be nothing
nanoseconds g_patience{0};                   // where it does not wait: what is left

timespec InTime(nanoseconds time) {
  timespec end{};
  ::clock_gettime(CLOCK_MONOTONIC, &end);
  const nanoseconds until = std::chrono::seconds(end.tv_sec) + nanoseconds(end.tv_nsec) + time;
  end.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(until).count();
  end.tv_nsec = (until % std::chrono::seconds(1)).count();
  return end;
}

}  // namespace

void LockPatience::WaitForNone() { g_waits = false; }
void LockPatience::WaitForAll(std::atomic<uint64_t>* waits) {
  g_waits = true;
  g_says_so = waits;
}
LockPatience::LockPatience(std::chrono::milliseconds time) { g_patience = time; }
LockPatience::~LockPatience() { g_patience = nanoseconds(0); }

void RobustMutex::Init() {
  pthread_mutexattr_t attributes;
  ::pthread_mutexattr_init(&attributes);
  ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  ::pthread_mutex_init(&mutex_, &attributes);
  ::pthread_mutexattr_destroy(&attributes);
}

RobustMutex::Owner RobustMutex::Lock() {
  int error = ::pthread_mutex_trylock(&mutex_);
  if (error == EBUSY) error = g_waits ? LockHoweverLong() : LockWithin(g_patience);
  if (error == 0) return Owner::kFine;
  if (error == EOWNERDEAD) return Owner::kDied;
  if (error == EBUSY || error == ETIMEDOUT) throw LockBusy();
  std::abort();  // not a mutex any more: going on would spread the damage
}

int RobustMutex::LockHoweverLong() {
  if (g_says_so == nullptr) return ::pthread_mutex_lock(&mutex_);
  g_says_so->store(1, std::memory_order_relaxed);
  const int error = ::pthread_mutex_lock(&mutex_);
  g_says_so->store(0, std::memory_order_relaxed);
  return error;
}

// What it has waited is no longer there for the next lock.
int RobustMutex::LockWithin(nanoseconds time) {
  if (time <= nanoseconds(0)) return EBUSY;
  const auto begin = std::chrono::steady_clock::now();
  const timespec end = InTime(time);
  const int error = ::pthread_mutex_clocklock(&mutex_, CLOCK_MONOTONIC, &end);
  g_patience = time - (std::chrono::steady_clock::now() - begin);
  return error;
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
