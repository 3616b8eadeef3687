#include "base/clock.h"

#include <gtest/gtest.h>

#include <ctime>
#include <utility>

namespace limpet {
namespace {

std::string ByLibrary(int64_t seconds) {
  const time_t t = seconds;
  tm parts{};
  char text[64];
  ::gmtime_r(&t, &parts);
  return std::string(text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts));
}

// Milliseconds of two clocks do not begin at the same time: read one after the other they differ
// by one whole number or the next.
TEST(WallClock, HasOneTimeForAMoment) {
  const uint64_t monotonic = MonotonicMs() - 1, boot = BootMs() - 1, wall = WallMs();
  const uint64_t of_monotonic = WallMsOfMonotonic(monotonic), of_boot = WallMsOfBoot(boot);
  EXPECT_LE(wall - of_monotonic, 3U);
  EXPECT_LE(wall - of_boot, 3U);
  int changes = 0;  // none, but where the clock is being set meanwhile
  uint64_t last = of_monotonic, last_of_boot = of_boot;
  for (const uint64_t end = monotonic + 50; MonotonicMs() < end;) {
    changes += std::exchange(last, WallMsOfMonotonic(monotonic)) != last;
    changes += std::exchange(last_of_boot, WallMsOfBoot(boot)) != last_of_boot;
  }
  EXPECT_LE(changes, 2);
  EXPECT_LE(MonotonicMsOfWall(last) - monotonic + 1, 2U);
  EXPECT_EQ(MonotonicMsOfWall(0), 0U);
}

TEST(HttpDate, IsWhatTheLibrarySays) {
  constexpr int64_t kDay = 86'400, kYear10000 = 253'402'300'800;
  EXPECT_EQ(FormatHttpDate(784'111'777), "Sun, 06 Nov 1994 08:49:37 GMT");
  for (int64_t day = 0; day < 500 * 366; ++day) {
    const int64_t seconds = day * kDay + day % kDay;
    ASSERT_EQ(FormatHttpDate(seconds), ByLibrary(seconds)) << seconds;
  }
  for (const int64_t seconds :
       {int64_t{-1}, -kDay, -2'208'988'800, kYear10000 - 1, kYear10000, kYear10000 * 4})
    EXPECT_EQ(FormatHttpDate(seconds), ByLibrary(seconds)) << seconds;
}

TEST(HttpDate, IsReadAgain) {
  for (const int64_t seconds : {int64_t{0}, int64_t{951'782'400}, int64_t{1'795'903'200}})
    EXPECT_EQ(ParseHttpDate(FormatHttpDate(seconds)), seconds);
}

TEST(HttpDate, IsReadWhateverItsZoneIsCalled) {
  for (const char* behind : {" GMT", "", " UTC", " +0000", " GMT; length=5"}) {
    EXPECT_EQ(ParseHttpDate(std::string("Sun, 06 Nov 1994 08:49:37") + behind), 784'111'777)
        << behind;
    EXPECT_EQ(ParseHttpDate(std::string("Sunday, 06-Nov-94 08:49:37") + behind), 784'111'777)
        << behind;
  }
  EXPECT_EQ(ParseHttpDate("Sun Nov  6 08:49:37 1994"), 784'111'777);
  for (const char* bad : {"", "Sun, 06 Nov 1994", "Sun, 06 Nov 1994 08:49", "yesterday"})
    EXPECT_EQ(ParseHttpDate(bad), -1) << bad;
}

}  // namespace
}  // namespace limpet
