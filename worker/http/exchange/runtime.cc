#include "worker/http/exchange/runtime.h"

#include "base/clock.h"
#include "worker/http/log/access_log.h"
#include "worker/http/proxy/upstream_lookup.h"
#include "worker/http/proxy/upstream_runtime.h"
#include "worker/http/route/server_names.h"

namespace limpet::worker {

Runtime::~Runtime() {
  url_groups.Clear();
  loop.RunDead();  // their kept connections need what we own
}

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
