#include "base/clock.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <string_view>

namespace limpet {
namespace {

uint64_t ReadMs(clockid_t id) {
  timespec ts{};
  ::clock_gettime(id, &ts);
  return static_cast<uint64_t>(ts.tv_sec) * 1000 + static_cast<uint64_t>(ts.tv_nsec) / 1'000'000;
}

int64_t ReadNs(clockid_t id) {
  timespec ts{};
  ::clock_gettime(id, &ts);
  return ts.tv_sec * 1'000'000'000 + ts.tv_nsec;
}

// What is to be added to a time of `id` for the wall clock's. Nanoseconds are compared: two clocks
// whose milliseconds begin at different times differ by one or the other whole number. What was
// found once stays until it is wrong by more than a millisecond.
int64_t WallOffsetMs(clockid_t id) {
  constexpr int64_t kMillisecond = 1'000'000, kTogether = 2'000;
  constexpr int kTries = 8;  // a process may be stopped between two readings
  static std::atomic<int64_t> kept[2];
  int64_t apart = 0, gap = INT64_MAX;
  for (int i = 0; i < kTries && gap > kTogether; ++i) {
    const int64_t before = ReadNs(id), wall = ReadNs(CLOCK_REALTIME), behind = ReadNs(id);
    if (behind - before >= gap) continue;
    gap = behind - before;
    apart = wall - before - gap / 2;
  }
  std::atomic<int64_t>& offset = kept[id == CLOCK_BOOTTIME];
  if (std::abs(apart - offset.load(std::memory_order_relaxed)) > kMillisecond) offset = apart;
  return (offset.load(std::memory_order_relaxed) + kMillisecond / 2) / kMillisecond;
}

uint64_t Moved(uint64_t ms, int64_t by) {
  return static_cast<uint64_t>(std::max<int64_t>(0, static_cast<int64_t>(ms) + by));
}

std::string Format(const char* format, const tm& parts) {
  char text[64];
  return std::string(text, std::strftime(text, sizeof text, format, &parts));
}

tm Local(int64_t seconds) {
  const time_t t = seconds;
  tm parts{};
  ::localtime_r(&t, &parts);
  return parts;
}

tm Utc(int64_t seconds) {
  const time_t t = seconds;
  tm parts{};
  ::gmtime_r(&t, &parts);
  return parts;
}

void PutTwoDigits(char* at, unsigned number) {
  at[0] = static_cast<char>('0' + number / 10 % 10);
  at[1] = static_cast<char>('0' + number % 10);
}

void PutName(char* at, std::string_view names, unsigned index) {
  constexpr size_t kLetters = 3;
  std::copy_n(names.data() + index * kLetters, kLetters, at);
}

}  // namespace

uint64_t MonotonicMs() { return ReadMs(CLOCK_MONOTONIC); }
uint64_t BootMs() { return ReadMs(CLOCK_BOOTTIME); }

WallTime Now() {
  timespec ts{};
  ::clock_gettime(CLOCK_REALTIME, &ts);
  return {ts.tv_sec, static_cast<int>(ts.tv_nsec / 1'000'000)};
}

uint64_t WallMs() {
  const WallTime now = Now();
  return static_cast<uint64_t>(now.seconds) * 1000 + static_cast<uint64_t>(now.milliseconds);
}

uint64_t WallMsOfMonotonic(uint64_t ms) { return Moved(ms, WallOffsetMs(CLOCK_MONOTONIC)); }
uint64_t MonotonicMsOfWall(uint64_t ms) { return Moved(ms, -WallOffsetMs(CLOCK_MONOTONIC)); }
uint64_t WallMsOfBoot(uint64_t ms) { return Moved(ms, WallOffsetMs(CLOCK_BOOTTIME)); }

std::string FormatErrorLogTime(int64_t seconds) {
  return Format("%Y/%m/%d %H:%M:%S", Local(seconds));
}
std::string FormatLogTime(int64_t seconds) {
  return Format("%d/%b/%Y:%H:%M:%S %z", Local(seconds));
}

std::string FormatIso8601(int64_t seconds) {
  std::string text = Format("%Y-%m-%dT%H:%M:%S%z", Local(seconds));
  text.insert(text.size() - 2, ":");
  return text;
}

std::string FormatLocalDate(int64_t seconds) {
  return Format("%A, %d-%b-%Y %H:%M:%S %Z", Local(seconds));
}

// Each file that is sent says when it was changed: strftime would take a tenth of the request.
std::string FormatHttpDate(int64_t seconds) {
  constexpr int64_t kYear10000 = 253'402'300'800;  // from here on it is no date of HTTP, either
  if (seconds < 0 || seconds >= kYear10000)
    return Format("%a, %d %b %Y %H:%M:%S GMT", Utc(seconds));
  const std::chrono::sys_seconds time{std::chrono::seconds(seconds)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const auto year = static_cast<unsigned>(static_cast<int>(date.year()));
  const auto second = static_cast<unsigned>((time - day).count());
  std::string text = "Sun, 00 Jan 0000 00:00:00 GMT";
  char* const at = text.data();
  PutName(at, "SunMonTueWedThuFriSat", std::chrono::weekday(day).c_encoding());
  PutTwoDigits(at + 5, static_cast<unsigned>(date.day()));
  PutName(at + 8, "JanFebMarAprMayJunJulAugSepOctNovDec", static_cast<unsigned>(date.month()) - 1);
  PutTwoDigits(at + 12, year / 100);
  PutTwoDigits(at + 14, year);
  PutTwoDigits(at + 17, second / 3600);
  PutTwoDigits(at + 20, second / 60 % 60);
  PutTwoDigits(at + 23, second % 60);
  return text;
}

std::string FormatCookieDate(int64_t seconds) {
  constexpr int64_t kYear2038 = 2'145'916'800;  // old clients mistake two digits from here on
  return Format(seconds >= kYear2038 ? "%a, %d-%b-%Y %H:%M:%S GMT" : "%a, %d-%b-%y %H:%M:%S GMT",
                Utc(seconds));
}

std::string FormatSyslogTime(int64_t seconds) { return Format("%b %e %H:%M:%S", Local(seconds)); }

int64_t ParseHttpDate(const std::string& text) {
  for (const char* format :
       {"%a, %d %b %Y %H:%M:%S", "%A, %d-%b-%y %H:%M:%S", "%a %b %e %H:%M:%S %Y"}) {
    tm parts{};
    if (::strptime(text.c_str(), format, &parts) != nullptr) return ::timegm(&parts);
  }
  return -1;
}

}  // namespace limpet
