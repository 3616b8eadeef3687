#include "base/text.h"

#include <gtest/gtest.h>

namespace limpet {
namespace {

TEST(Hex, GoesThereAndBack) {
  const std::string bytes("\0\x01\x7f\x80\xff", 5);
  EXPECT_EQ(HexLower(bytes), "00017f80ff");
  EXPECT_EQ(FromHex("00017F80ff"), bytes);
  EXPECT_EQ(FromHex(""), "");
}

TEST(Hex, RefusesWhatIsNone) {
  for (const char* text : {"0", "0g", "g0", " 0", "0x", "-1"})
    EXPECT_EQ(FromHex(text), std::nullopt) << text;
}

TEST(Split, KeepsEmptyParts) {
  EXPECT_EQ(Split("a\t\tb\t", '\t'), (std::vector<std::string_view>{"a", "", "b", ""}));
  EXPECT_EQ(Split("", ','), std::vector<std::string_view>{""});
}

TEST(ParseDecimal, TakesTheWholeTextOrNothing) {
  EXPECT_EQ(ParseDecimal("18446744073709551615"), UINT64_MAX);
  for (const char* text : {"", "-1", "+1", " 1", "1 ", "0x1", "18446744073709551616"})
    EXPECT_EQ(ParseDecimal(text), std::nullopt) << text;
}

TEST(EditDistance, CountsChangedLetters) {
  EXPECT_EQ(EditDistance("listen", "listen"), 0u);
  EXPECT_EQ(EditDistance("listen:", "listen"), 1u);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
}

}  // namespace
}  // namespace limpet
