#include "proto/cookie.h"

#include <gtest/gtest.h>

namespace limpet::proto {
namespace {

TEST(Cookie, IsFoundInAnyHeaderAndPlace) {
  HeaderList headers;
  headers.Add("Cookie", "a=1; session=abc;c=3");
  headers.Add("Cookie", "d=4; session=second");
  EXPECT_EQ(FindCookie(headers, "session"), "abc");
  EXPECT_EQ(FindCookie(headers, "SESSION"), "abc");
  EXPECT_EQ(FindCookie(headers, "a"), "1");
  EXPECT_EQ(FindCookie(headers, "c"), "3");
  EXPECT_EQ(FindCookie(headers, "d"), "4");
  EXPECT_EQ(FindCookie(headers, "sess"), std::nullopt);
  EXPECT_EQ(FindCookie(headers, "e"), std::nullopt);
  EXPECT_EQ(FindCookie(HeaderList(), "a"), std::nullopt);
}

TEST(Cookie, ValuesMayBeOddOrEmpty) {
  HeaderList headers;
  headers.Add("Cookie", "empty=; eq=a=b; comma=1,2; spaced = x ;noeq; last=z");
  EXPECT_EQ(FindCookie(headers, "empty"), "");
  EXPECT_EQ(FindCookie(headers, "eq"), "a=b");
  EXPECT_EQ(FindCookie(headers, "comma"), "1,2");
  EXPECT_EQ(FindCookie(headers, "spaced"), "x ");
  EXPECT_EQ(FindCookie(headers, "noeq"), std::nullopt);
  EXPECT_EQ(FindCookie(headers, "last"), "z");
}

TEST(SetCookie, ValueEndsAtTheAttributes) {
  HeaderList headers;
  headers.Add("Set-Cookie", "other=0; a=9");
  headers.Add("Set-Cookie", "a=1; Path=/; HttpOnly");
  EXPECT_EQ(FindSetCookie(headers, "a"), "1");
  EXPECT_EQ(FindSetCookie(headers, "Path"), std::nullopt);
  EXPECT_EQ(FindSetCookie(headers, "other"), "0");
}

TEST(Argument, IsFoundByName) {
  EXPECT_EQ(FindArgument("a=1&b=2&c", "b"), "2");
  EXPECT_EQ(FindArgument("a=1&B=2", "b"), "2");
  EXPECT_EQ(FindArgument("ab=1&b=2&b=3", "b"), "2");
  EXPECT_EQ(FindArgument("b=", "b"), "");
  EXPECT_EQ(FindArgument("b", "b"), std::nullopt);
  EXPECT_EQ(FindArgument("a=b=1", "b"), std::nullopt);
  EXPECT_EQ(FindArgument("", "b"), std::nullopt);
}

}  // namespace
}  // namespace limpet::proto
