#include "conf/units.h"

#include <array>
#include <charconv>
#include <limits>

#include "base/text.h"

namespace limpet::conf {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

struct TimeUnit {
  std::string_view name;
  int64_t milliseconds;
};
// From large to small: a unit may only be followed by smaller ones.
constexpr std::array kTimeUnits = std::to_array<TimeUnit>({
    {"y", int64_t{365} * 86400 * 1000},
    {"M", int64_t{30} * 86400 * 1000},
    {"w", int64_t{7} * 86400 * 1000},
    {"d", int64_t{86400} * 1000},
    {"h", int64_t{3600} * 1000},
    {"m", int64_t{60} * 1000},
    {"s", 1000},
    {"ms", 1},
});
constexpr size_t kSeconds = 6;

std::optional<int64_t> TakeNumber(std::string_view* text) {
  size_t n = 0;
  while (n < text->size() && IsDigit((*text)[n])) ++n;
  const std::optional<uint64_t> number = ParseDecimal(text->substr(0, n));
  if (!number || *number > static_cast<uint64_t>(kMax)) return std::nullopt;
  text->remove_prefix(n);
  return static_cast<int64_t>(*number);
}

// The index of the unit at the beginning of `text`; none: seconds, which then must be the end.
std::optional<size_t> TakeUnit(std::string_view* text) {
  if (text->empty() || text->front() == ' ') return kSeconds;
  for (size_t i = kTimeUnits.size(); i-- > 0;) {  // backwards: "ms" before "m"
    if (!text->starts_with(kTimeUnits[i].name)) continue;
    text->remove_prefix(kTimeUnits[i].name.size());
    return i;
  }
  return std::nullopt;
}

}  // namespace

std::optional<int64_t> ParseSizeUnits(std::string_view text, bool allow_giga) {
  if (text.empty()) return std::nullopt;
  int shift = 0;
  switch (AsciiLower(text.back())) {
    case 'k':
      shift = 10;
      break;
    case 'm':
      shift = 20;
      break;
    case 'g':
      if (!allow_giga) return std::nullopt;
      shift = 30;
      break;
    default:
      break;
  }
  if (shift) text.remove_suffix(1);
  const std::optional<uint64_t> number = ParseDecimal(text);
  if (!number || *number > static_cast<uint64_t>(kMax >> shift)) return std::nullopt;
  return static_cast<int64_t>(*number << shift);
}

std::optional<std::chrono::milliseconds> ParseTime(std::string_view text, bool whole_seconds) {
  if (text.empty()) return std::nullopt;
  int64_t total = 0;
  size_t next = 0;  // the largest unit still allowed
  while (!text.empty()) {
    const std::optional<int64_t> number = TakeNumber(&text);
    if (!number) return std::nullopt;
    const bool is_last = text.empty();  // seconds, whatever came before
    const std::optional<size_t> unit = TakeUnit(&text);
    if (!unit || (*unit < next && !is_last) || (whole_seconds && *unit > kSeconds))
      return std::nullopt;
    next = *unit + 1;
    const int64_t scale = kTimeUnits[*unit].milliseconds;
    if (*number > (kMax - total) / scale) return std::nullopt;
    total += *number * scale;
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  }
  return std::chrono::milliseconds(total);
}

std::optional<DrainTime> ParseDrainTime(std::string_view text) {
  constexpr std::string_view kKeep = ",keep";
  const bool keeps = text.ends_with(kKeep);
  if (keeps) text.remove_suffix(kKeep.size());
  const auto time = ParseTime(text, false);
  if (!time || time->count() == 0) return std::nullopt;
  return DrainTime{*time, keeps};
}

std::optional<int> ParsePerSecond(std::string_view text) {
  constexpr uint64_t kMost = 1'000'000;
  if (!text.ends_with("/s")) return std::nullopt;
  const auto count = ParseDecimal(text.substr(0, text.size() - 2));
  if (!count || *count == 0 || *count > kMost) return std::nullopt;
  return static_cast<int>(*count);
}

std::optional<uint64_t> ParseRate(std::string_view text) {
  const bool has_unit = text.ends_with("r/m") || text.ends_with("r/s");
  const uint64_t per = text.ends_with("r/m") ? 60 : 1;
  const auto n = ParseDecimal(has_unit ? text.substr(0, text.size() - 3) : text);
  if (!n || *n == 0 || *n > UINT32_MAX) return std::nullopt;
  return *n * 1000 / per;
}

std::optional<double> ParseShare(std::string_view text) {
  const bool percent = text.ends_with('%');
  if (percent) text.remove_suffix(1);
  if (text.empty() || text.find_first_not_of("0123456789.") != std::string_view::npos)
    return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (percent || value > 1) value /= 100;
  if (value > 1) return std::nullopt;
  return value;
}

}  // namespace limpet::conf
