#include "worker/http/filter/expires.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

namespace limpet::worker {
namespace {

using conf::Expires;
using Kind = conf::Expires::Kind;

constexpr int64_t kNow = 784111777;  // Sun, 06 Nov 1994 08:49:37 GMT

TEST(ParseExpires, TakesWordsAndTimes) {
  const auto parse = [](std::string_view text) {
    const auto rule = ParseExpires(text, false);
    return rule ? std::pair(rule->kind, rule->seconds) : std::pair(Kind::kUnset, int64_t{-99});
  };
  EXPECT_EQ(parse("epoch"), std::pair(Kind::kEpoch, int64_t{0}));
  EXPECT_EQ(parse("max"), std::pair(Kind::kMax, int64_t{0}));
  EXPECT_EQ(parse("off"), std::pair(Kind::kOff, int64_t{0}));
  EXPECT_EQ(parse("1h30m"), std::pair(Kind::kAccess, int64_t{5400}));
  EXPECT_EQ(parse("+2048"), std::pair(Kind::kAccess, int64_t{2048}));
  EXPECT_EQ(parse("-1"), std::pair(Kind::kAccess, int64_t{-1}));
  EXPECT_EQ(parse("@15h30m33s"), std::pair(Kind::kDaily, int64_t{55833}));
}

TEST(ParseExpires, RefusesWhatNginxRefuses) {
  for (const char* text : {"", "bad", "@25h", "@", "1x"}) {
    EXPECT_FALSE(ParseExpires(text, false)) << text;
  }
  EXPECT_FALSE(ParseExpires("epoch", true)) << "modified takes a time only";
  EXPECT_FALSE(ParseExpires("@1h", true));
  EXPECT_EQ(ParseExpires("10", true)->kind, Kind::kModified);
}

TEST(ComputeExpires, CountsFromNowOrFromTheFile) {
  const auto fields = ComputeExpires({.kind = Kind::kAccess, .seconds = 60}, kNow, -1);
  EXPECT_EQ(fields.expires, "Sun, 06 Nov 1994 08:50:37 GMT");
  EXPECT_EQ(fields.cache_control, "max-age=60");
  const auto old = ComputeExpires({.kind = Kind::kModified, .seconds = 60}, kNow, kNow - 100);
  EXPECT_EQ(old.expires, "Sun, 06 Nov 1994 08:48:57 GMT");
  EXPECT_EQ(old.cache_control, "no-cache") << "it has expired already";
}

TEST(ComputeExpires, HasFixedForms) {
  EXPECT_EQ(ComputeExpires({.kind = Kind::kEpoch}, kNow, -1).cache_control, "no-cache");
  EXPECT_EQ(ComputeExpires({.kind = Kind::kMax}, kNow, -1).expires,
            "Thu, 31 Dec 2037 23:55:55 GMT");
  EXPECT_EQ(ComputeExpires({.kind = Kind::kAccess}, kNow, -1).cache_control, "max-age=0");
  EXPECT_EQ(ComputeExpires({.kind = Kind::kAccess, .seconds = -5}, kNow, -1).cache_control,
            "no-cache");
}

TEST(NextTimeOfDay, IsTodayOrTomorrow) {
  setenv("TZ", "UTC", 1);
  tzset();
  const int64_t midnight = kNow - (8 * 3600 + 49 * 60 + 37);
  EXPECT_EQ(NextTimeOfDay(kNow, 9 * 3600), midnight + 9 * 3600);
  EXPECT_EQ(NextTimeOfDay(kNow, 8 * 3600), midnight + 32 * 3600);
}

}  // namespace
}  // namespace limpet::worker
