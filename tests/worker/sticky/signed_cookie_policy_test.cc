// sticky cookie … sign=: which server a value names, when the client gets another one.
#include "worker/sticky/signed_cookie_policy.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>

#include "base/clock.h"
#include "tests/worker/sticky/policy_fixture.h"
#include "worker/sticky/cookie_seal.h"

namespace limpet::worker {
namespace {

using Status = StickyStatus;

class SignedCookiePolicyTest : public testing::Test {
 protected:
  SignedCookiePolicyTest() {
    const int fd = ::mkstemp(path_.data());
    EXPECT_GE(fd, 0);
    ::close(fd);
    Write("first-key-0123456789\n");
  }
  ~SignedCookiePolicyTest() override { ::unlink(path_.c_str()); }

  void Write(const std::string& keys) const { std::ofstream(path_) << keys; }
  std::string Sticky(const std::string& more = "") const {
    return "sticky cookie id sign=" + path_ + " " + more + ";";
  }
  static std::string ValueOf(const std::string& cookie) {
    return cookie.substr(3, cookie.find(';') - 3);
  }
  // What a new client gets where `route` has been chosen.
  static std::string Give(PolicyFixture& fixture, std::string_view route) {
    fixture.Find({});
    return ValueOf(fixture.OnChosen(route));
  }
  // A value for server a that ends in so many seconds.
  static std::string Ending(PolicyFixture& fixture, int64_t rest) {
    const auto& keys = fixture.upstream().sticky.cookie.keys;
    const CookieSeal seal(keys, "app");
    return seal.Write({ServerMark("a", true, ""), Now().seconds + rest});
  }

  std::string path_ = testing::TempDir() + "limpet_seal_XXXXXX";
};

TEST_F(SignedCookiePolicyTest, NamesTheServerThatWasChosen) {
  PolicyFixture fixture(Sticky());
  for (const std::string_view route : {"a", "b"}) {
    const std::string value = Give(fixture, route);
    EXPECT_EQ(fixture.state.status, Status::kNew);
    EXPECT_EQ(value.size(), CookieSeal::kSize);
    EXPECT_EQ(fixture.Find({{"cookie_id", value}}), &fixture.peer(route));
    EXPECT_EQ(fixture.state.status, Status::kHit);
    EXPECT_EQ(fixture.OnChosen(route), "") << "the client has it";
  }
}

TEST_F(SignedCookiePolicyTest, WhatItHasNotSignedIsAMiss) {
  PolicyFixture fixture(Sticky());
  const std::string value = Give(fixture, "a");
  for (const std::string& wrong : {std::string("a"), std::string("x"), value.substr(1), value + "A",
                                   std::string(CookieSeal::kSize, 'A')}) {
    EXPECT_EQ(fixture.Find({{"cookie_id", wrong}}), nullptr) << wrong;
    EXPECT_EQ(fixture.state.status, Status::kMiss) << wrong;
    EXPECT_TRUE(fixture.state.is_void) << wrong;
    EXPECT_NE(fixture.OnChosen("b"), "") << "a new one is set";
  }
}

TEST_F(SignedCookiePolicyTest, EndsAndIsRenewedBefore) {
  PolicyFixture fixture(Sticky("ttl=100s"));
  fixture.Find({{"cookie_id", Ending(fixture, 0)}});
  EXPECT_EQ(fixture.state.status, Status::kExpired);
  EXPECT_TRUE(fixture.state.is_void);
  EXPECT_NE(fixture.OnChosen("a"), "");
  fixture.Find({{"cookie_id", Ending(fixture, 95)}});
  EXPECT_EQ(fixture.state.status, Status::kHit);
  EXPECT_EQ(fixture.OnChosen("a"), "");
  for (const int64_t rest : {2, 90, 5'000}) {
    fixture.Find({{"cookie_id", Ending(fixture, rest)}});
    EXPECT_EQ(fixture.state.status, Status::kHit) << rest;
    const std::string renewed = ValueOf(fixture.OnChosen("a"));
    EXPECT_EQ(fixture.Find({{"cookie_id", renewed}}), &fixture.peer("a")) << rest;
    EXPECT_EQ(fixture.OnChosen("a"), "") << rest;
  }
}

// A browser forgets a cookie by its attributes: it gets it anew before that.
TEST_F(SignedCookiePolicyTest, IsRenewedBeforeTheBrowserForgetsIt) {
  const struct {
    const char* parameters;
    int64_t fresh, due;  // seconds of 28,800 left; -1: always due
  } kRows[] = {
      {"", 26'000, 25'000},
      {"expires=1000s", 28'750, 28'690},
      {"expires=max", 26'000, 25'000},
      {"max-age=1000", 28'750, 28'690},
      {"Max-Age=100000", 26'000, 25'000},
      {"max-age=$arg_age", -1, 28'800},
      {"max-age=soon", -1, 28'800},
      {"$arg_attribute", -1, 28'800},
      {"Priority=$arg_p", 26'000, 25'000},
  };
  for (const auto& row : kRows) {
    PolicyFixture fixture(Sticky(row.parameters));
    if (row.fresh >= 0) {
      fixture.Find({{"cookie_id", Ending(fixture, row.fresh)}});
      EXPECT_EQ(fixture.OnChosen("a"), "") << row.parameters;
    }
    fixture.Find({{"cookie_id", Ending(fixture, row.due)}});
    EXPECT_NE(fixture.OnChosen("a"), "") << row.parameters;
  }
}

TEST_F(SignedCookiePolicyTest, FollowsTheSession) {
  PolicyFixture fixture(Sticky());
  const std::string value = Give(fixture, "a");
  fixture.Find({{"cookie_id", value}});
  const std::string moved = ValueOf(fixture.OnChosen("b"));
  fixture.Find({{"cookie_id", value}});
  fixture.state.temporary = true;
  EXPECT_EQ(fixture.OnChosen("b"), "") << "one that only stands in does not keep it";
  EXPECT_EQ(fixture.Find({{"cookie_id", moved}}), &fixture.peer("b"));
}

TEST_F(SignedCookiePolicyTest, KeysChangeInThreeSteps) {
  PolicyFixture before(Sticky());
  const std::string old_value = Give(before, "a");
  Write("first-key-0123456789\nsecond-key-0123456789\n");
  PolicyFixture announced(Sticky());
  EXPECT_EQ(announced.Find({{"cookie_id", old_value}}), &announced.peer("a"));
  EXPECT_EQ(announced.OnChosen("a"), "");
  Write("second-key-0123456789\r\nfirst-key-0123456789\r\n");
  PolicyFixture turned(Sticky());
  EXPECT_EQ(turned.Find({{"cookie_id", old_value}}), &turned.peer("a"));
  const std::string new_value = ValueOf(turned.OnChosen("a"));
  EXPECT_EQ(announced.Find({{"cookie_id", new_value}}), &announced.peer("a"))
      << "a machine that is a step behind";
  Write("second-key-0123456789");
  PolicyFixture after(Sticky());
  EXPECT_EQ(after.Find({{"cookie_id", new_value}}), &after.peer("a"));
  EXPECT_EQ(after.Find({{"cookie_id", old_value}}), nullptr);
  EXPECT_EQ(after.state.status, Status::kMiss);
}

TEST_F(SignedCookiePolicyTest, HasTheAttributesOfTheConfiguration) {
  PolicyFixture fixture(Sticky("domain=$arg_d path=/x secure httponly samesite=lax Partitioned"));
  fixture.Find({{"arg_d", "d.example"}});
  const std::string cookie = fixture.OnChosen("a");
  EXPECT_EQ(cookie.substr(cookie.find(';')),
            "; domain=d.example; httponly; secure; samesite=lax; path=/x; Partitioned");
}

}  // namespace
}  // namespace limpet::worker
