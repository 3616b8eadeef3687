// Matches that PCRE2 gives up on, and what becomes of them.
#include "conf/regex.h"

#include "conf/named_groups.h"
#include "tests/conf/support.h"

namespace limpet::conf {
namespace {

const std::string kBomb = std::string(40, 'a') + "b";  // more steps than allowed, for ^(a+)+$

std::shared_ptr<const Regex> Compiled(std::string_view pattern) {
  auto regex = Regex::Compile(pattern, false);
  EXPECT_TRUE(regex);
  return *regex;
}

TEST(Regex, SaysYesNoOrThatItFailed) {
  const auto regex = Compiled("^(a+)+$");
  EXPECT_TRUE(regex->Match("aaa", nullptr).yes());
  EXPECT_FALSE(regex->Match("b", nullptr).yes());
  EXPECT_FALSE(regex->Match("b", nullptr).failed());
  const MatchResult result = regex->Match(kBomb, nullptr);
  EXPECT_FALSE(result.yes());
  EXPECT_TRUE(result.failed());
  EXPECT_EQ(regex->Explain(result), "pcre2_match() failed: match limit exceeded using \"^(a+)+$\"");
}

// 1,500 bytes need more than JIT's first stack, 100,000 more than its largest.
TEST(Regex, LongSubjectsAreSearchedToTheirEnd) {
  const auto regex = Compiled("^(?:.|\\s)*(sqlmap)");
  for (const size_t size : {10u, 1500u, 20'000u, 100'000u}) {
    const std::string subject = std::string(size, 'a') + "sqlmap!";
    Captures captures;
    EXPECT_TRUE(regex->Match(subject, &captures).yes()) << size;
    EXPECT_EQ(captures.Group(1), "sqlmap") << size;
    EXPECT_EQ(captures.Group(0).size(), size + 6);
    EXPECT_EQ(regex->Match(std::string(size, 'p'), nullptr).code(), MatchResult::kNoMatch) << size;
  }
}

TEST(Matches, TellsTheReader) {
  const auto config = MustLoad(InHttp("map $arg_a $x { ~^(a+)+$ m; default d; }"));
  FakeReader reader(config->http->variables);
  reader.values["arg_a"] = "b";
  EXPECT_EQ(reader.Eval("x"), "d");
  EXPECT_FALSE(reader.match_failed());
  reader.values["arg_a"] = kBomb;
  EXPECT_EQ(reader.Eval("x"), "") << "not the default: nobody knows";
  EXPECT_TRUE(reader.TakeMatchFailure());
  EXPECT_FALSE(reader.match_failed());
}

}  // namespace
}  // namespace limpet::conf
