// What a signed cookie's value says, and that nothing else says it.
#include "worker/sticky/cookie_seal.h"

#include <gtest/gtest.h>

#include <set>

namespace limpet::worker {
namespace {

constexpr SealKey kOne{1}, kTwo{2};
constexpr CookieTicket kTicket{.server = 0x1122334455667788, .end_s = 1'800'000'000};

TEST(CookieSeal, ReadsWhatItHasWritten) {
  const CookieSeal seal({kOne}, "app");
  std::set<std::string> values;
  for (int i = 0; i < 100; ++i) {
    const std::string value = seal.Write(kTicket);
    EXPECT_EQ(value.size(), CookieSeal::kSize);
    EXPECT_EQ(value.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                      "0123456789-_"),
              std::string::npos);
    const auto opened = seal.Read(value);
    ASSERT_TRUE(opened);
    EXPECT_EQ(opened->ticket, kTicket);
    EXPECT_TRUE(opened->by_first_key);
    values.insert(value);
  }
  EXPECT_EQ(values.size(), 100u) << "values of one server cannot be told from others";
}

TEST(CookieSeal, BelongsToItsKeysAndItsUpstream) {
  const std::string value = CookieSeal({kOne}, "app").Write(kTicket);
  EXPECT_FALSE(CookieSeal({kTwo}, "app").Read(value));
  EXPECT_FALSE(CookieSeal({kOne}, "other").Read(value));
  EXPECT_FALSE(CookieSeal({kOne}, "ap").Read(value));
  const auto opened = CookieSeal({kTwo, kOne}, "app").Read(value);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->ticket, kTicket);
  EXPECT_FALSE(opened->by_first_key);
  EXPECT_FALSE(CookieSeal({kOne}, "app").Read(CookieSeal({kTwo, kOne}, "app").Write(kTicket)));
}

TEST(CookieSeal, NoChangedValueIsRead) {
  const CookieSeal seal({kOne, kTwo}, "app");
  const std::string value = seal.Write(kTicket);
  for (size_t at = 0; at < value.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string changed = value;
      changed[at] = static_cast<char>(byte);
      if (changed != value) {
        EXPECT_FALSE(seal.Read(changed)) << at << " " << byte;
      }
    }
  }
  for (size_t size = 0; size < value.size(); ++size) {
    EXPECT_FALSE(seal.Read(value.substr(0, size))) << size;
    EXPECT_FALSE(seal.Read(value.substr(value.size() - size))) << size;
  }
  for (const char* more : {"A", "=", "\n", "AAAA"}) EXPECT_FALSE(seal.Read(value + more)) << more;
}

TEST(ServerMark, TellsServersApart) {
  const std::set<uint64_t> marks = {
      ServerMark("a", true, ""),     ServerMark("b", true, ""),     ServerMark("a", false, ""),
      ServerMark("a", false, "one"), ServerMark("a", false, "two"), ServerMark("aone", false, ""),
      ServerMark("", false, "aone"),
  };
  EXPECT_EQ(marks.size(), 7u);
  EXPECT_EQ(ServerMark("a", true, "one"), ServerMark("a", true, "two"))
      << "a route is a server wherever it is";
  EXPECT_EQ(ServerMark("a", false, "One.Example"), ServerMark("a", false, "one.example"));
}

TEST(CookieAge, IsRenewedWhenAPartOfItsTimeHasPassed) {
  constexpr struct {
    int64_t rest;
    CookieAge age;
  } kRows[] = {
      {-5, CookieAge::kOver},   {0, CookieAge::kOver},   {1, CookieAge::kDue},
      {90, CookieAge::kDue},    {91, CookieAge::kFresh}, {100, CookieAge::kFresh},
      {110, CookieAge::kFresh},  // another machine's clock is ahead
      {111, CookieAge::kDue},    // made when ttl was longer
      {9'000, CookieAge::kDue},
  };
  for (const auto& row : kRows)
    EXPECT_EQ(AgeOf(1'000 + row.rest, 1'000, 100, 10), row.age) << row.rest;
  EXPECT_EQ(AgeOf(1'100, 1'000, 100, 0), CookieAge::kDue) << "with each answer";
}

}  // namespace
}  // namespace limpet::worker
