// Preloaded into a limpet (LD_PRELOAD): the next worker that takes a robust lock stops inside it,
// if the file is there that STOP_IN_LOCK names; the file goes, so that it is one worker only. A
// master never calls pthread_mutex_lock for such a lock: it does not wait.
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace {

using Lock = int (*)(pthread_mutex_t*);

bool IsRobust(const pthread_mutex_t& mutex) {
  constexpr int kRobust = 16;  // glibc's PTHREAD_MUTEX_ROBUST_NORMAL_NP
  return (mutex.__data.__kind & kRobust) != 0;
}

// Read before a worker's environment is emptied.
const std::string g_file =
    std::getenv("STOP_IN_LOCK") == nullptr ? "" : std::getenv("STOP_IN_LOCK");

}  // namespace

extern "C" int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  static const auto lock = reinterpret_cast<Lock>(::dlsym(RTLD_NEXT, "pthread_mutex_lock"));
  const int error = lock(mutex);
  if (error == 0 && IsRobust(*mutex) && !g_file.empty() && ::unlink(g_file.c_str()) == 0) {
    ::raise(SIGSTOP);
  }
  return error;
}
