#include "proto/range.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "base/text.h"

namespace limpet::proto {
namespace {

constexpr uint64_t kMaxOffset = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());

std::string_view TrimBlanks(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

std::optional<uint64_t> ParseOffset(std::string_view text) {
  const std::optional<uint64_t> value = ParseDecimal(text);
  return value && *value <= kMaxOffset ? value : std::nullopt;
}

// "0-9", "5-" or "-3", cut to `length`; may come out empty. Nothing if it is not a range.
std::optional<ByteRange> ParseOne(std::string_view text, uint64_t length) {
  const size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::string_view first = TrimBlanks(text.substr(0, dash));
  const std::string_view last = TrimBlanks(text.substr(dash + 1));
  if (first.empty()) {
    const std::optional<uint64_t> suffix = ParseOffset(last);
    if (!suffix) return std::nullopt;
    return ByteRange{*suffix < length ? length - *suffix : 0, length};
  }
  const std::optional<uint64_t> start = ParseOffset(first);
  if (!start) return std::nullopt;
  if (last.empty()) return ByteRange{*start, length};
  const std::optional<uint64_t> end = ParseOffset(last);
  if (!end) return std::nullopt;
  return ByteRange{*start, *end >= length ? length : *end + 1};
}

// Overlapping ranges that add up to more than the whole are an attack or a mistake (RFC 9110 14.2).
bool WorthIt(const std::vector<ByteRange>& ranges, uint64_t total, uint64_t length,
             size_t max_ranges) {
  constexpr uint64_t kPartHeader = 256;  // roughly
  constexpr uint64_t kAllowance = 4096;
  if (ranges.size() == 1) return true;
  if (total > length) return false;
  return max_ranges != kUnlimitedRanges ||
         total + ranges.size() * kPartHeader <= length + kAllowance;
}

}  // namespace

RangeStatus ParseRange(std::string_view value, uint64_t length, size_t max_ranges,
                       std::vector<ByteRange>* ranges) {
  ranges->clear();
  if (max_ranges == 0 || !StartsWithIgnoreCase(value, "bytes=") || value.size() < 7)
    return RangeStatus::kIgnore;
  value.remove_prefix(6);
  uint64_t total = 0;
  for (bool more = true; more;) {
    const size_t comma = value.find(',');
    more = comma != std::string_view::npos;
    const std::optional<ByteRange> range = ParseOne(TrimBlanks(value.substr(0, comma)), length);
    if (!range) return RangeStatus::kNotSatisfiable;
    if (more) value.remove_prefix(comma + 1);
    if (range->start >= range->end) {
      if (range->start == 0) return RangeStatus::kIgnore;  // nothing there to take a part of
      continue;
    }
    if (ranges->size() == max_ranges) return RangeStatus::kIgnore;
    ranges->push_back(*range);
    total += range->end - range->start;
    if (total > kMaxOffset) return RangeStatus::kNotSatisfiable;
  }
  if (ranges->empty()) return RangeStatus::kNotSatisfiable;
  return WorthIt(*ranges, total, length, max_ranges) ? RangeStatus::kOk : RangeStatus::kIgnore;
}

}  // namespace limpet::proto
