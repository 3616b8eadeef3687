// Time as limpet reads it. Monotonic time drives deadlines, CLOCK_BOOTTIME the age of sessions (a
// suspended machine and a stepped wall clock change neither), wall time is for logs and headers
// only.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace limpet {

using Milliseconds = std::chrono::milliseconds;

uint64_t MonotonicMs();  // CLOCK_MONOTONIC
uint64_t BootMs();       // CLOCK_BOOTTIME

struct WallTime {
  int64_t seconds = 0;  // since the epoch
  int milliseconds = 0;
};
WallTime Now();
uint64_t WallMs();  // the same, in milliseconds since the epoch

// A moment of MonotonicMs() or BootMs() on the wall clock: the same one at each call, until that
// clock is set.
uint64_t WallMsOfMonotonic(uint64_t ms);
uint64_t MonotonicMsOfWall(uint64_t ms);  // 0: before that clock began
uint64_t WallMsOfBoot(uint64_t ms);

// All formats below are rendered for a wall time; local ones use the process's time zone.
std::string FormatErrorLogTime(int64_t seconds);  // 2026/11/22 10:00:00, local
std::string FormatLogTime(int64_t seconds);       // 22/Nov/2026:10:00:00 +0000, local
std::string FormatIso8601(int64_t seconds);       // 2026-11-22T10:00:00+00:00, local
std::string FormatLocalDate(int64_t seconds);     // Sunday, 22-Nov-2026 10:00:00 UTC, local
std::string FormatHttpDate(int64_t seconds);      // Sun, 22 Nov 2026 10:00:00 GMT (RFC 9110 5.6.7)
// Sun, 22-Nov-26 10:00:00 GMT; the year has four digits from 2038 on.
std::string FormatCookieDate(int64_t seconds);
std::string FormatSyslogTime(int64_t seconds);  // Nov 22 10:00:00, local (RFC 3164)

// Parses any of the three HTTP date formats of RFC 9110 5.6.7; -1 if it is none.
int64_t ParseHttpDate(const std::string& text);

}  // namespace limpet
