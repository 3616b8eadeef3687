// Preloaded into a limpet (LD_PRELOAD): the next worker that takes a robust lock stops inside it,
// if the file is there that STOP_IN_LOCK names; the file goes, so that it is one worker only. Not
// so the process that loaded this: the master.
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace {

using TryLock = int (*)(pthread_mutex_t*);

bool IsRobust(const pthread_mutex_t& mutex) {
  constexpr int kRobust = 16;  // glibc's PTHREAD_MUTEX_ROBUST_NORMAL_NP
  return (mutex.__data.__kind & kRobust) != 0;
}

// Read before a worker's environment is emptied.
const std::string g_file =
    std::getenv("STOP_IN_LOCK") == nullptr ? "" : std::getenv("STOP_IN_LOCK");

const pid_t g_master = ::getpid();

bool IsToStop() {
  return !g_file.empty() && ::getpid() != g_master && ::unlink(g_file.c_str()) == 0;
}

}  // namespace

// Only where nobody else has the lock: there a worker comes first.
extern "C" int pthread_mutex_trylock(pthread_mutex_t* mutex) noexcept {
  static const auto try_lock =
      reinterpret_cast<TryLock>(::dlsym(RTLD_NEXT, "pthread_mutex_trylock"));
  const int error = try_lock(mutex);
  if (error == 0 && IsRobust(*mutex) && IsToStop()) ::raise(SIGSTOP);
  return error;
}
