// sticky cookie: which server a cookie names, and the cookie that goes back.
#include "worker/sticky/cookie_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "tests/worker/sticky/policy_fixture.h"

namespace limpet::worker {
namespace {

using Status = StickyStatus;

constexpr FindRow kRows[] = {
    {"no cookie", {"", ""}, "", Status::kNew},
    {"a server's id", {"b", ""}, "b", Status::kHit},
    {"nobody's id", {"x", ""}, "", Status::kMiss},
    {"another cookie is not looked at", {"", "b"}, "", Status::kNew},
};

TEST(CookiePolicy, FindsWhatTheTableSays) {
  PolicyFixture fixture("sticky cookie id;");
  for (const FindRow& row : kRows) ExpectFound(fixture, {"cookie_id", "cookie_other"}, row);
}

// The value of Set-Cookie where "a" has been chosen.
TEST(CookiePolicy, SetsACookieWithTheAttributesOfTheConfiguration) {
  struct {
    std::string_view parameters, cookie;
  } const kCookies[] = {
      {"", "id=a"},
      {"path=/app", "id=a; path=/app"},
      {"path=$x", "id=a; path=$x"},  // as in nginx: no variables there
      {"domain=.example", "id=a; domain=.example"},
      {"domain=$arg_domain", "id=a; domain=b.example"},
      {"domain=$arg_none", "id=a"},
      {"secure httponly", "id=a; httponly; secure"},
      {"samesite=lax", "id=a; samesite=lax"},
      {"samesite=$arg_lax", "id=a; samesite=LAX"},
      {"samesite=$arg_domain", "id=a; samesite=strict"},  // no such value: the strictest
      {"samesite=$arg_none", "id=a"},
      {"Priority=High Partitioned", "id=a; Priority=High; Partitioned"},
      {"Priority=$arg_none", "id=a"},
      {"expires=max", "id=a; expires=Thu, 31-Dec-37 23:55:55 GMT; max-age=315360000"},
      {"path=/ samesite=none secure domain=d httponly",  // nginx's order, whatever is written
       "id=a; domain=d; httponly; secure; samesite=none; path=/"},
  };
  for (const auto& row : kCookies) {
    PolicyFixture fixture("sticky cookie id " + std::string(row.parameters) + ";");
    fixture.Find({{"arg_domain", "b.example"}, {"arg_lax", "LAX"}});
    EXPECT_EQ(fixture.OnChosen("a"), row.cookie) << row.parameters;
  }
}

TEST(CookiePolicy, SaysWhenTheCookieExpires) {
  PolicyFixture fixture("sticky cookie id expires=1h;");
  fixture.Find({});
  const std::string cookie = fixture.OnChosen("a");
  EXPECT_THAT(cookie, testing::MatchesRegex("id=a; expires=..., ..-...-.. ..:..:.. GMT; "
                                            "max-age=3600"));
}

TEST(CookiePolicy, SetsItAnewWithEachAnswer) {
  PolicyFixture fixture("sticky cookie id;");
  fixture.Find({{"cookie_id", "a"}});
  EXPECT_EQ(fixture.OnChosen("a"), "id=a") << "its own server";
  EXPECT_EQ(fixture.OnChosen("b"), "id=b") << "the one that has taken the session over";
  fixture.state.temporary = true;
  EXPECT_EQ(fixture.OnChosen("b"), "id=a") << "one that only stands in does not keep it";
}

TEST(CookiePolicy, ShowsDigestsUnderASecret) {
  PolicyFixture fixture("sticky cookie id; sticky_secret $arg_secret;");
  const std::string digest = Md5Hex("apepper");
  EXPECT_EQ(fixture.Find({{"cookie_id", digest}, {"arg_secret", "pepper"}}), &fixture.peer("a"));
  EXPECT_EQ(fixture.OnChosen("a"), "id=" + digest);
  EXPECT_EQ(fixture.Find({{"cookie_id", "a"}, {"arg_secret", "pepper"}}), nullptr);
  EXPECT_EQ(fixture.Find({{"cookie_id", digest}, {"arg_secret", "salt"}}), nullptr);
  EXPECT_EQ(fixture.Find({{"cookie_id", "a"}}), &fixture.peer("a")) << "an empty secret is none";
}

}  // namespace
}  // namespace limpet::worker
