#include "worker/http/filter/expires.h"

#include <fmt/core.h>

#include <ctime>

#include "base/clock.h"
#include "conf/units.h"
#include "worker/http/exchange/exchange.h"

namespace limpet::worker {
namespace {

using conf::Expires;
using Kind = conf::Expires::Kind;

constexpr int64_t kDay = 24 * 60 * 60;

int64_t LastModified(const Response& response) {
  if (response.last_modified_text.empty()) return response.last_modified;
  return ParseHttpDate(std::string(response.last_modified_text));
}

}  // namespace

std::optional<Expires> ParseExpires(std::string_view text, bool modified) {
  Expires out{.kind = modified ? Kind::kModified : Kind::kAccess};
  if (!modified) {
    if (text == "epoch") return Expires{.kind = Kind::kEpoch};
    if (text == "max") return Expires{.kind = Kind::kMax};
    if (text == "off") return Expires{.kind = Kind::kOff};
  }
  const char sign = text.empty() ? '\0' : text.front();
  if (sign == '@') {
    if (modified) return std::nullopt;
    out.kind = Kind::kDaily;
  }
  if (sign == '@' || sign == '+' || sign == '-') text.remove_prefix(1);
  const auto time = conf::ParseTime(text, true);
  if (!time) return std::nullopt;
  out.seconds = time->count() / 1000;
  if (out.kind == Kind::kDaily && out.seconds > kDay) return std::nullopt;
  if (sign == '-') out.seconds = -out.seconds;
  return out;
}

int64_t NextTimeOfDay(int64_t now, int64_t seconds) {
  const std::time_t clock = now;
  std::tm day{};
  localtime_r(&clock, &day);
  day.tm_hour = static_cast<int>(seconds / 3600);
  day.tm_min = static_cast<int>(seconds % 3600 / 60);
  day.tm_sec = static_cast<int>(seconds % 60);
  day.tm_isdst = -1;
  std::tm next = day;
  const std::time_t today = std::mktime(&day);
  if (today > now) return today;
  ++next.tm_mday;  // mktime carries over into the next month
  next.tm_isdst = -1;
  return std::mktime(&next);
}

ExpiresFields ComputeExpires(const Expires& rule, int64_t now, int64_t last_modified) {
  switch (rule.kind) {
    case Kind::kEpoch:
      return {"Thu, 01 Jan 1970 00:00:01 GMT", "no-cache"};
    case Kind::kMax:
      return {"Thu, 31 Dec 2037 23:55:55 GMT", "max-age=315360000"};
    case Kind::kOff:
    case Kind::kUnset:
      return {};
    default:
      break;
  }
  if (rule.seconds == 0 && rule.kind != Kind::kDaily) return {FormatHttpDate(now), "max-age=0"};
  int64_t at = now + rule.seconds;
  if (rule.kind == Kind::kDaily) at = NextTimeOfDay(now, rule.seconds);
  if (rule.kind == Kind::kModified && last_modified != -1) at = last_modified + rule.seconds;
  const int64_t max_age = at - now;
  const bool stale = max_age < 0 || (rule.kind != Kind::kDaily && rule.seconds < 0);
  return {FormatHttpDate(at), stale ? "no-cache" : fmt::format("max-age={}", max_age)};
}

void ApplyExpires(Exchange& exchange) {
  const Expires& setting = exchange.location().response.expires;
  std::optional<Expires> evaluated;
  const Expires* rule = &setting;
  if (!setting.variable.empty()) {
    evaluated = ParseExpires(exchange.Evaluate(setting.variable), setting.kind == Kind::kModified);
    if (!evaluated) return;
    rule = &*evaluated;
  }
  if (rule->kind == Kind::kOff || rule->kind == Kind::kUnset) return;
  Response& response = exchange.response();
  const ExpiresFields fields =
      ComputeExpires(*rule, exchange.runtime().WallSeconds(), LastModified(response));
  proto::HeaderList& headers = response.headers;
  headers.Set(proto::HeaderId::kExpires, "Expires", exchange.arena().Copy(fields.expires));
  headers.Set(proto::HeaderId::kCacheControl, "Cache-Control",
              exchange.arena().Copy(fields.cache_control));
}

}  // namespace limpet::worker
