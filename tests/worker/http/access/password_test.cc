#include <gtest/gtest.h>

#include "worker/http/access/auth_basic.h"

namespace limpet::worker {
namespace {

constexpr auto kMatch = PasswordCheck::kMatch;
constexpr auto kMismatch = PasswordCheck::kMismatch;

struct Stored {
  const char* name;
  const char* text;
};

class EveryForm : public testing::TestWithParam<Stored> {};

TEST_P(EveryForm, KnowsItsPasswordAndNoOther) {
  EXPECT_EQ(CheckPassword("secret", GetParam().text), kMatch);
  EXPECT_EQ(CheckPassword("Secret", GetParam().text), kMismatch);
  EXPECT_EQ(CheckPassword("", GetParam().text), kMismatch);
}

INSTANTIATE_TEST_SUITE_P(
    Password, EveryForm,
    testing::Values(Stored{"Plain", "{PLAIN}secret"},
                    Stored{"Sha", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="},
                    Stored{"Ssha", "{SSHA}8bX4JQDfZqtTfvnQ4ssDmWb17/FTQUxU"},
                    Stored{"Apr1", "$apr1$r31xyzab$othKcUy6Q8aVRLV2fNvld1"},
                    Stored{
                        "Sha512",
                        "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiO"
                        "QSpT0Y77vwPZN.Pq.H91p5hVO1"}),
    [](const auto& param) { return param.param.name; });

TEST(Password, Apr1OfEmptyAndLongPasswords) {
  EXPECT_EQ(CryptApr1("", "$apr1$ab$"), "$apr1$ab$S8K6Sgp3W8c9Jb6LxgywZ.");
  EXPECT_EQ(CryptApr1("a very long password, longer than sixteen bytes", "$apr1$abcdefgh$"),
            "$apr1$abcdefgh$dTCQGxeaRD/6/difGd6oT/");
}

TEST(Password, BrokenFormsNeverMatch) {
  EXPECT_EQ(CheckPassword("secret", "{SSHA}short"), kMismatch);
  EXPECT_EQ(CheckPassword("secret", "{SHA}*"), kMismatch);
  EXPECT_EQ(CheckPassword("secret", "$apr1$"), kMismatch);
  EXPECT_NE(CheckPassword("*0", "*0"), kMatch) << "what crypt(3) returns when it fails";
  EXPECT_NE(CheckPassword("", ""), kMatch);
}

TEST(UserFile, FindsThePasswordOfAWholeName) {
  constexpr std::string_view kFile =
      "# comment:x\nuser:one\nuser2:two:a comment\n\nlast:three\r\nend:four";
  EXPECT_EQ(FindPassword(kFile, "user"), "one");
  EXPECT_EQ(FindPassword(kFile, "user2"), "two");
  EXPECT_EQ(FindPassword(kFile, "last"), "three");
  EXPECT_EQ(FindPassword(kFile, "end"), "four") << "without a final line end";
  EXPECT_EQ(FindPassword(kFile, "use"), std::nullopt);
  EXPECT_EQ(FindPassword(kFile, "# comment"), std::nullopt);
  EXPECT_EQ(FindPassword("", "user"), std::nullopt);
}

}  // namespace
}  // namespace limpet::worker
