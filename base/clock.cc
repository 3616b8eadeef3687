#include "base/clock.h"

#include <ctime>

namespace limpet {
namespace {

uint64_t ReadMs(clockid_t id) {
  timespec ts{};
  ::clock_gettime(id, &ts);
  return static_cast<uint64_t>(ts.tv_sec) * 1000 + static_cast<uint64_t>(ts.tv_nsec) / 1'000'000;
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

}  // namespace

uint64_t MonotonicMs() { return ReadMs(CLOCK_MONOTONIC); }
uint64_t BootMs() { return ReadMs(CLOCK_BOOTTIME); }

WallTime Now() {
  timespec ts{};
  ::clock_gettime(CLOCK_REALTIME, &ts);
  return {ts.tv_sec, static_cast<int>(ts.tv_nsec / 1'000'000)};
}

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

std::string FormatHttpDate(int64_t seconds) {
  return Format("%a, %d %b %Y %H:%M:%S GMT", Utc(seconds));
}

std::string FormatCookieDate(int64_t seconds) {
  constexpr int64_t kYear2038 = 2'145'916'800;  // old clients mistake two digits from here on
  return Format(seconds >= kYear2038 ? "%a, %d-%b-%Y %H:%M:%S GMT" : "%a, %d-%b-%y %H:%M:%S GMT",
                Utc(seconds));
}

std::string FormatSyslogTime(int64_t seconds) { return Format("%b %e %H:%M:%S", Local(seconds)); }

int64_t ParseHttpDate(const std::string& text) {
  for (const char* format :
       {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"}) {
    tm parts{};
    const char* end = ::strptime(text.c_str(), format, &parts);
    if (end != nullptr && *end == '\0') return ::timegm(&parts);
  }
  return -1;
}

}  // namespace limpet
