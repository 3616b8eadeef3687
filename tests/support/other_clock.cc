// Preloaded into a limpet (LD_PRELOAD): its wall clock is OTHER_CLOCK seconds ahead of the
// machine's, or behind it, if that is negative. Clocks that only count from some start stay as they
// are.
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>

namespace {

// Read before a worker's environment is emptied.
const time_t g_ahead =
    std::getenv("OTHER_CLOCK") == nullptr ? 0 : std::atol(std::getenv("OTHER_CLOCK"));

bool IsWall(clockid_t clock) { return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE; }

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept {
  const long error = ::syscall(SYS_clock_gettime, clock, now);
  if (error == 0 && IsWall(clock)) now->tv_sec += g_ahead;
  return static_cast<int>(error);
}

extern "C" int gettimeofday(timeval* __restrict now, void* __restrict) noexcept {
  timespec exact;
  ::clock_gettime(CLOCK_REALTIME, &exact);
  *now = {exact.tv_sec, exact.tv_nsec / 1000};
  return 0;
}

extern "C" time_t time(time_t* now) noexcept {
  timespec exact;
  ::clock_gettime(CLOCK_REALTIME_COARSE, &exact);
  if (now != nullptr) *now = exact.tv_sec;
  return exact.tv_sec;
}
