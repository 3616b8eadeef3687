#include "proto/headers.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace limpet::proto {
namespace {

TEST(HeaderId, EveryNameIsFoundInAnyCase) {
  for (int i = 1; i < static_cast<int>(HeaderId::kCount_); ++i) {
    const auto id = static_cast<HeaderId>(i);
    std::string name(Name(id));
    EXPECT_EQ(LookupHeader(name), id) << name;
    EXPECT_EQ(LookupHeader(ToLower(name)), id) << name;
    name.back() = '!';
    EXPECT_EQ(LookupHeader(name), HeaderId::kOther) << name;
  }
}

TEST(HeaderId, SpellsNamesAsTheRfcsDo) {
  EXPECT_EQ(Name(HeaderId::kEtag), "ETag");
  EXPECT_EQ(Name(HeaderId::kTe), "TE");
  EXPECT_EQ(Name(HeaderId::kXRealIp), "X-Real-IP");
  EXPECT_EQ(Name(HeaderId::kOther), "");
}

TEST(HeaderId, OthersAreOther) {
  for (const char* name :
       {"", "a", "Hos", "Hostt", "X-Custom", "Content_Length", "Content-Length "}) {
    EXPECT_EQ(LookupHeader(name), HeaderId::kOther) << name;
  }
}

class HeaderListTest : public testing::Test {
 protected:
  void SetUp() override {
    headers_.Add("Host", "a");
    headers_.Add("cookie", "x=1");
    headers_.Add("X-Own", "1");
    headers_.Add("Cookie", "y=2");
  }
  HeaderList headers_;
};

TEST_F(HeaderListTest, FindsTheFirstByIdAndByName) {
  EXPECT_EQ(headers_.Value(HeaderId::kCookie), "x=1");
  EXPECT_EQ(headers_.Find("COOKIE")->value, "x=1");
  EXPECT_EQ(headers_.Find("x-own")->value, "1");
  EXPECT_EQ(headers_.Find("x-none"), nullptr);
  EXPECT_EQ(headers_.Find(HeaderId::kDate), nullptr);
  EXPECT_EQ(headers_.Count(HeaderId::kCookie), 2U);
}

TEST_F(HeaderListTest, RemovesAllOfAName) {
  EXPECT_EQ(headers_.RemoveAll(HeaderId::kCookie), 2U);
  EXPECT_FALSE(headers_.Has(HeaderId::kCookie));
  EXPECT_EQ(headers_.RemoveAll("X-OWN"), 1U);
  ASSERT_EQ(headers_.size(), 1U);
  EXPECT_EQ(headers_[0].id, HeaderId::kHost);
}

TEST_F(HeaderListTest, SetsInsteadOfAdding) {
  headers_.Set(HeaderId::kCookie, "Cookie", "z=3");
  EXPECT_EQ(headers_.Count(HeaderId::kCookie), 1U);
  headers_.Set(HeaderId::kOther, "x-own", "2");
  EXPECT_EQ(headers_.Find("X-Own")->value, "2");
  EXPECT_EQ(headers_.size(), 3U);
}

TEST_F(HeaderListTest, ClearForgetsEverything) {
  headers_.Clear();
  EXPECT_TRUE(headers_.empty());
  EXPECT_FALSE(headers_.Has(HeaderId::kHost));
}

TEST(HeaderList, FindsTokensInLists) {
  HeaderList headers;
  headers.Add("Connection", "keep-alive , Upgrade");
  headers.Add("Connection", "X-Hop");
  EXPECT_TRUE(headers.HasToken(HeaderId::kConnection, "upgrade"));
  EXPECT_TRUE(headers.HasToken(HeaderId::kConnection, "x-hop"));
  EXPECT_FALSE(headers.HasToken(HeaderId::kConnection, "up"));
  EXPECT_FALSE(headers.HasToken(HeaderId::kTe, "trailers"));
}

TEST(FieldValue, EndsAtNoByte) {
  const std::string text = "a value of more than eight bytes\twith a tab and \xC3\xA9~\x80 ";
  EXPECT_TRUE(IsFieldValue(""));
  EXPECT_TRUE(IsFieldValue(text));
  for (size_t at = 0; at < text.size(); ++at) {
    for (const char bad : {'\r', '\n', '\0', '\x01', '\x1B', '\x1F', '\x7F'}) {
      std::string changed = text;
      changed[at] = bad;
      EXPECT_FALSE(IsFieldValue(changed)) << at;
    }
  }
  for (size_t size = 1; size < 70; ++size) {
    std::string changed(size, 'a');
    for (size_t at = 0; at < size; ++at) {
      for (int c = 0; c <= 0xFF; ++c) {
        changed[at] = static_cast<char>(c);
        const bool is_control = (c < ' ' && c != '\t') || c == 0x7F;
        ASSERT_NE(IsFieldValue(changed), is_control) << c << " at " << at << " of " << size;
        ASSERT_EQ(IsVisible(changed), c > ' ' && c != 0x7F) << c << " at " << at << " of " << size;
      }
      changed[at] = 'a';
    }
  }
  std::string head = "H";
  EXPECT_TRUE(AppendField(&head, "A", "b c"));
  EXPECT_FALSE(AppendField(&head, "A", "b\nc"));
  EXPECT_EQ(head, "HA: b c\r\n");
}

TEST(FieldValue, OfFoldedLinesIsOneLine) {
  EXPECT_EQ(UnfoldFieldValue("a\n\tb\r\n c"), "a \tb   c");
  for (const std::string_view text : {"a\n", "a\nb", "a\n\tb\nc", "a\r\tb", "a\n\n\tb"})
    EXPECT_FALSE(UnfoldFieldValue(text)) << text;
  std::string head;
  EXPECT_TRUE(AppendField(&head, "A", "b\n\tc"));
  EXPECT_EQ(head, "A: b \tc\r\n");
}

TEST(Token, IsWhatAMethodMayBe) {
  EXPECT_TRUE(IsToken("M-SEARCH"));
  for (const std::string_view text : {"", "GET ", "GE\tT", "A/B", "A\n", "\xC3\xA9"})
    EXPECT_FALSE(IsToken(text)) << text;
}

}  // namespace
}  // namespace limpet::proto
