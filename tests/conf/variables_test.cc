// Templates, and the variables that map, geo and split_clients define.
#include "tests/conf/support.h"

namespace limpet::conf {
namespace {

TEST(Template, PutsPartsTogether) {
  VariableTable table;
  const auto t = Template::Compile("a${arg_x}b$arg_y", table, "f:1");
  ASSERT_TRUE(t);
  FakeReader reader(table);
  reader.values = {{"arg_x", "1"}, {"arg_y", "2"}};
  EXPECT_EQ(t->Evaluate(reader), "a1b2");
  EXPECT_FALSE(Template::Compile("${arg_x", table, "f:1"));
  EXPECT_FALSE(Template::Compile("$", table, "f:1"));
}

TEST(Map, ExactThenPatternsThenDefault) {
  const auto config =
      MustLoad(InHttp("map $arg_a $x { default d; foo 1; ~^b(.) m$1; \\~t tilde; }"));
  FakeReader reader(config->http->variables);
  const std::pair<const char*, const char*> cases[] = {
      {"foo", "1"}, {"FOO", "1"}, {"bar", "ma"}, {"~t", "tilde"}, {"", "d"}};
  for (const auto& [key, value] : cases) {
    reader.values["arg_a"] = key;
    EXPECT_EQ(reader.Eval("x"), value) << key;
  }
}

TEST(Map, WhatIsMadeOfItselfEnds) {
  const auto config = MustLoad(InHttp(
      "map $arg_a $x { default b$y; } map $arg_a $y { default c$x; } map $z $z { default d$z; }"));
  FakeReader reader(config->http->variables);
  EXPECT_EQ(reader.Eval("x"), "bc");
  EXPECT_EQ(reader.Eval("y"), "cb");
  EXPECT_EQ(reader.Eval("z"), "d");
}

TEST(Map, AVariableInAKeyIsText) {
  const auto config = MustLoad(InHttp("map $arg_a $x { $arg_b 1; \\$arg_c 2; ~^$ 3; }"));
  ASSERT_EQ(config->notices.size(), 1u);
  EXPECT_THAT(config->notices[0],
              testing::HasSubstr("variables are not evaluated in a map's keys: \"$arg_b\" is text "
                                 "(\"\\$arg_b\" says that it is meant so) in "));
  FakeReader reader(config->http->variables);
  reader.values["arg_b"] = "b";
  for (const auto& [key, value] :
       {std::pair{"$arg_b", "1"}, {"b", ""}, {"$arg_c", "2"}, {"", "3"}}) {
    reader.values["arg_a"] = key;
    EXPECT_EQ(reader.Eval("x"), value) << key;
  }
}

TEST(Map, Hostnames) {
  const auto config = MustLoad(
      InHttp("map $arg_a $x { hostnames; *.e.com head; .f.com both; www.g.* tail; h.com 1; }"));
  FakeReader reader(config->http->variables);
  const std::pair<const char*, const char*> cases[] = {{"a.e.com", "head"},   {"e.com", ""},
                                                       {"f.com", "both"},     {"a.b.f.com", "both"},
                                                       {"www.g.org", "tail"}, {"h.com", "1"}};
  for (const auto& [key, value] : cases) {
    reader.values["arg_a"] = key;
    EXPECT_EQ(reader.Eval("x"), value) << key;
  }
}

TEST(Geo, LongestPrefixWins) {
  const auto config =
      MustLoad(InHttp("geo $x { default d; 10.0.0.0/8 ten; 10.1.0.0/16 one; ::1/128 six; }"));
  FakeReader reader(config->http->variables);
  const std::pair<const char*, const char*> cases[] = {{"10.2.3.4", "ten"},
                                                       {"10.1.2.3", "one"},
                                                       {"11.0.0.1", "d"},
                                                       {"::1", "six"},
                                                       {"::ffff:10.1.2.3", "one"}};
  for (const auto& [address, value] : cases) {
    reader.values["remote_addr"] = address;
    EXPECT_EQ(reader.Eval("x"), value) << address;
  }
}

TEST(Geo, RangesSplitEachOther) {
  const auto config = MustLoad(
      InHttp("geo $x { ranges; default d; 10.0.0.0-10.1.255.255 a; 10.0.0.5-10.0.0.9 b; }"));
  FakeReader reader(config->http->variables);
  const std::pair<const char*, const char*> cases[] = {{"10.0.0.4", "a"}, {"10.0.0.5", "b"},
                                                       {"10.0.0.9", "b"}, {"10.0.0.10", "a"},
                                                       {"10.1.0.1", "a"}, {"10.2.0.0", "d"}};
  for (const auto& [address, value] : cases) {
    reader.values["remote_addr"] = address;
    EXPECT_EQ(reader.Eval("x"), value) << address;
  }
}

TEST(SplitClients, SharesAreNearTheirPercentage) {
  const auto config = MustLoad(InHttp("split_clients $arg_a $x { 25.5% a; * b; }"));
  FakeReader reader(config->http->variables);
  int a = 0;
  for (int i = 0; i < 4000; ++i) {
    reader.values["arg_a"] = std::to_string(i);
    a += reader.Eval("x") == "a";
  }
  EXPECT_NEAR(a, 1020, 100);
}

}  // namespace
}  // namespace limpet::conf
