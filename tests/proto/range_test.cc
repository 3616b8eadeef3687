#include "proto/range.h"

#include <gtest/gtest.h>

namespace limpet::proto {
namespace {

// "206 0-10 20-30" with exclusive ends, "200" or "416", for a representation of 100 bytes.
std::string Parse(std::string_view value, uint64_t length = 100, size_t max_ranges = 10) {
  std::vector<ByteRange> ranges;
  switch (ParseRange(value, length, max_ranges, &ranges)) {
    case RangeStatus::kIgnore:
      return "200";
    case RangeStatus::kNotSatisfiable:
      return "416";
    case RangeStatus::kOk:
      break;
  }
  std::string text = "206";
  for (const ByteRange& r : ranges)
    text += " " + std::to_string(r.start) + "-" + std::to_string(r.end);
  return text;
}

TEST(Range, ReadsAsNginx) {
  const struct {
    const char* value;
    const char* result;
  } cases[] = {
      {"bytes=0-9", "206 0-10"},
      {"BYTES=0-9", "206 0-10"},
      {"bytes=90-", "206 90-100"},
      {"bytes=-5", "206 95-100"},
      {"bytes=-500", "206 0-100"},
      {"bytes=0-1000", "206 0-100"},
      {"bytes=0-0,-1", "206 0-1 99-100"},
      {"bytes= 1 - 2 , 5-6", "206 1-3 5-7"},
      {"bytes=100-", "416"},
      {"bytes=100-200,5-6", "206 5-7"},
      {"bytes=9-5", "416"},
      {"bytes=-0", "416"},
      {"bytes=a-b", "416"},
      {"bytes=1", "416"},
      {"bytes=1-2x", "416"},
      {"bytes=-", "416"},
      {"bytes=1-2,", "416"},
      {"bytes=99999999999999999999-", "416"},
      {"bytes=0-99,0-99", "200"},
      {"bytes=", "200"},
      {"lines=0-9", "200"},
      {"", "200"},
  };
  for (const auto& c : cases) EXPECT_EQ(Parse(c.value), c.result) << c.value;
}

TEST(Range, HasLimits) {
  EXPECT_EQ(Parse("bytes=0-1,2-3", 100, 1), "200");
  EXPECT_EQ(Parse("bytes=0-1", 100, 0), "200");
  EXPECT_EQ(Parse("bytes=0-1", 0), "200");
  std::string many = "bytes=0-0";
  for (int i = 0; i < 30; ++i) many += ",0-0";
  EXPECT_EQ(Parse(many, 100, kUnlimitedRanges), "200");
}

}  // namespace
}  // namespace limpet::proto
