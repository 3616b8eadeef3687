// The Range header (RFC 9110 14.2), read with nginx's rules.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace limpet::proto {

struct ByteRange {
  uint64_t start = 0;
  uint64_t end = 0;  // behind the last byte
};

inline constexpr size_t kUnlimitedRanges = 0x7FFFFFFF;

enum class RangeStatus : uint8_t {
  kIgnore,          // send the whole (200)
  kOk,              // 206
  kNotSatisfiable,  // 416
};

// `value` is the whole header value ("bytes=0-9,20-"), `length` that of the representation. More
// than max_ranges ranges, or ranges that together are longer than the whole: kIgnore. max_ranges 0
// ignores all.
RangeStatus ParseRange(std::string_view value, uint64_t length, size_t max_ranges,
                       std::vector<ByteRange>* ranges);

}  // namespace limpet::proto
