#include "tests/worker/http/client/still_clock.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace limpet {
namespace {

int64_t moved_ns = 0;

// Where each clock stood when it was first asked.
timespec Begin(clockid_t clock) {
  timespec now{};
  ::syscall(SYS_clock_gettime, clock, &now);
  return now;
}

timespec BeginOf(clockid_t clock) {
  constexpr int kClocks = 12;
  static timespec begins[kClocks];
  if (clock < 0 || clock >= kClocks) return Begin(clock);
  if (begins[clock].tv_sec == 0 && begins[clock].tv_nsec == 0) begins[clock] = Begin(clock);
  return begins[clock];
}

}  // namespace

void MoveClock(uint64_t ms) { moved_ns += static_cast<int64_t>(ms) * 1'000'000; }

}  // namespace limpet

extern "C" int clock_gettime(clockid_t clock, timespec* out) noexcept {
  constexpr int64_t kSecond = 1'000'000'000;
  const timespec begin = limpet::BeginOf(clock);
  const int64_t ns = begin.tv_nsec + limpet::moved_ns % kSecond;
  *out = {};
  out->tv_sec = begin.tv_sec + limpet::moved_ns / kSecond + ns / kSecond;
  out->tv_nsec = ns % kSecond;
  return 0;
}
