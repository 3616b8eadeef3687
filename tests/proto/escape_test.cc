#include "proto/escape.h"

#include <gtest/gtest.h>

namespace limpet::proto {
namespace {

TEST(Escape, EachKindHasItsCharacters) {
  const std::string all = " \"#%&'+,/:;<=>?@[\\]^`{|}~\x7F\xC3\x01";
  EXPECT_EQ(EscapeUri(all, EscapeKind::kUri),
            "%20%22%23%25&'+,/:;%3C=%3E%3F@[%5C]%5E%60%7B%7C%7D~%7F%C3%01");
  EXPECT_EQ(EscapeUri(all, EscapeKind::kArgs),
            "%20%22%23%25%26'%2B,/:%3B%3C=%3E%3F@[%5C]%5E%60%7B%7C%7D~%7F%C3%01");
  EXPECT_EQ(EscapeUri("aZ0-._~/+", EscapeKind::kUriComponent), "aZ0-._~%2F%2B");
  EXPECT_EQ(EscapeUri("a ?%'\"", EscapeKind::kRedirect), "a%20?%%27%22");
  EXPECT_EQ(EscapeUri("<a&\"b'>", EscapeKind::kHtml), "&lt;a&amp;&quot;b'&gt;");
  EXPECT_EQ(EscapeUri("a\"\\\n\r\t\b\f\x01\x1F/\xC3", EscapeKind::kJson),
            "a\\\"\\\\\\n\\r\\t\\b\\f\\u0001\\u001F/\xC3");
  EXPECT_EQ(EscapeUri("a b\"\\\n\x7F\xC3", EscapeKind::kLog), "a b\\x22\\x5C\\x0A\\x7F\\xC3");
}

TEST(Escape, TellsWhetherItIsNeeded) {
  EXPECT_FALSE(NeedsEscape("/a/b", EscapeKind::kUri));
  EXPECT_TRUE(NeedsEscape("/a b", EscapeKind::kUri));
  EXPECT_FALSE(NeedsEscape("", EscapeKind::kLog));
}

TEST(Unescape, DecodesAll) {
  EXPECT_EQ(Unescape("a%20b%3Fc%2f"), "a b?c/");
  EXPECT_EQ(Unescape("%zz%4"), "zz");
  EXPECT_EQ(Unescape("100%"), "100");
}

TEST(Unescape, StopsAtArguments) {
  EXPECT_EQ(UnescapeUri("/a%20b?c%20d"), "/a b?c%20d");
  EXPECT_EQ(UnescapeUri("/a%3Fb%20"), "/a?b%20");
}

TEST(Unescape, KeepsRedirectsSafe) {
  EXPECT_EQ(UnescapeRedirect("http%3A%2F%2Fexample.com%2F%3Ffrom"), "http://example.com/?from");
  EXPECT_EQ(UnescapeRedirect("http%3A%2F%2Fexample.com%0D%0Asplit"),
            "http://example.com%0D%0Asplit");
  EXPECT_EQ(UnescapeRedirect("%20%25%7F%41"), "%20%25%7FA");
}

TEST(Escape, ALineKeepsAllButWhatEndsIt) {
  EXPECT_EQ(EscapeUri(std::string_view("/%41?a=\"<\xC3\xA9#+ \r\n\0\x7F", 18), EscapeKind::kLine),
            "/%41?a=\"<\xC3\xA9#+%20%0D%0A%00%7F");
}

}  // namespace
}  // namespace limpet::proto
