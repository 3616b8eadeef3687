#include "base/clock.h"

#include <gtest/gtest.h>

#include <ctime>

namespace limpet {
namespace {

std::string ByLibrary(int64_t seconds) {
  const time_t t = seconds;
  tm parts{};
  char text[64];
  ::gmtime_r(&t, &parts);
  return std::string(text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts));
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
