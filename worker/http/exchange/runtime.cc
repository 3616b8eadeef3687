#include "worker/http/exchange/runtime.h"

#include "base/clock.h"

namespace limpet::worker {

void Runtime::RefreshTime() {
  const uint64_t now = loop.NowMs();
  if (now == time_text.checked_ms) return;
  time_text.checked_ms = now;
  const int64_t seconds = Now().seconds;
  if (seconds == time_text.seconds) return;
  time_text = {now, seconds, FormatHttpDate(seconds), {}, {}};
}

std::string_view Runtime::HttpDate() {
  RefreshTime();
  return time_text.http;
}

std::string_view Runtime::LogTime() {
  RefreshTime();
  if (time_text.log.empty()) time_text.log = FormatLogTime(time_text.seconds);
  return time_text.log;
}

std::string_view Runtime::Iso8601() {
  RefreshTime();
  if (time_text.iso.empty()) time_text.iso = FormatIso8601(time_text.seconds);
  return time_text.iso;
}

int64_t Runtime::WallSeconds() {
  RefreshTime();
  return time_text.seconds;
}

}  // namespace limpet::worker
