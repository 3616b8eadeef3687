// rebalance, and move= of a server that drains.
#include "tests/conf/support.h"

namespace limpet::conf {
namespace {

using testing::HasSubstr;

std::string InUpstream(const std::string& text, const std::string& learn = "timeout=1h",
                       const std::string& server = "", const std::string& name = "u") {
  return "upstream " + name + " { zone " + name + " 64k; server 127.0.0.1:1 " + server +
         "; sticky learn create=$upstream_cookie_s lookup=$cookie_s zone=z:64k " + learn + "; " +
         text + " }";
}
std::string ErrorOf(const std::string& text, const std::string& learn = "timeout=1h",
                    const std::string& server = "") {
  return LoadError(InHttp(InUpstream(text, learn, server)));
}

TEST(Rebalance, HasARateAndDefaults) {
  const auto config = MustLoad(InHttp(InUpstream("rebalance rate=50/s;")));
  const Rebalance& plain = config->http->upstreams[0]->rebalance;
  EXPECT_EQ(plain.rate, 50);
  EXPECT_EQ(plain.idle, 2min);
  EXPECT_EQ(plain.threshold, 0.1);
  const auto other = MustLoad(InHttp(InUpstream("rebalance idle=5m threshold=25% rate=1/s;")));
  const Rebalance& all = other->http->upstreams[0]->rebalance;
  EXPECT_EQ(all.rate, 1);
  EXPECT_EQ(all.idle, 5min);
  EXPECT_EQ(all.threshold, 0.25);
  EXPECT_EQ(MustLoad(InHttp(InUpstream("")))->http->upstreams[0]->rebalance.rate, 0);
}

TEST(Rebalance, RefusesWhatItDoesNotUnderstand) {
  for (const char* rate : {"50", "0/s", "-1/s", "1.5/s", "50/m", "1000001/s", "/s", ""}) {
    EXPECT_THAT(ErrorOf("rebalance rate=" + std::string(rate) + ";"),
                HasSubstr("it is sessions a second, as 50/s"))
        << rate;
  }
  EXPECT_THAT(ErrorOf("rebalance rate=1/s idle=0;"), HasSubstr("it is a time above 0, as 2m"));
  EXPECT_THAT(ErrorOf("rebalance rate=1/s threshold=0;"), HasSubstr("a share above 0, as 10%"));
  EXPECT_THAT(ErrorOf("rebalance rate=1/s rate=2/s;"), HasSubstr("\"rate\" is duplicate"));
  EXPECT_THAT(ErrorOf("rebalance idle=2m;"), HasSubstr("\"rate\" parameter is not specified"));
  EXPECT_THAT(ErrorOf("rebalance rate=1/s often;"), HasSubstr("invalid parameter \"often\""));
  EXPECT_THAT(ErrorOf("rebalance rate=1/s; rebalance rate=2/s;"), HasSubstr("duplicate"));
}

TEST(Rebalance, RefusesWhatDoesNotFit) {
  EXPECT_THAT(ErrorOf("rebalance rate=1/s;", "timeout=2m"), HasSubstr("they are over after"));
  EXPECT_THAT(ErrorOf("rebalance rate=1/s idle=59s;"),
              HasSubstr("cannot tell before 60000 ms that no connection holds a session"));
  EXPECT_EQ(ErrorOf("rebalance rate=1/s idle=60s;"), "loaded");
  EXPECT_EQ(ErrorOf("rebalance rate=1/s idle=10s;", "timeout=30s"), "loaded");
  EXPECT_THAT(ErrorOf("rebalance rate=1/s;", "timeout=1h norefresh"), HasSubstr("\"norefresh\""));
  EXPECT_THAT(ErrorOf("rebalance rate=1/s; sticky_policy failback=idle;"),
              HasSubstr("\"failback\": sessions would go back, in upstream \"u\" in t.conf:1"));
  EXPECT_THAT(
      LoadError(InHttp("upstream u { zone u 64k; server 127.0.0.1:1; rebalance rate=1/s; }")),
      HasSubstr("requires \"sticky learn\""));
  EXPECT_THAT(LoadError(InHttp("upstream u { server 127.0.0.1:1; sticky learn create=$cookie_a "
                               "lookup=$cookie_a zone=z:64k; rebalance rate=1/s; }")),
              HasSubstr("to be in shared memory"));
  EXPECT_THAT(LoadError(InHttp(InUpstream("rebalance rate=1/s;") +
                               InUpstream("rebalance rate=1/s;", "timeout=1h", "", "v"))),
              HasSubstr("is for the sessions of one zone"));
  EXPECT_EQ(
      LoadError(InHttp(InUpstream("rebalance rate=1/s;") + InUpstream("", "timeout=1h", "", "v"))),
      "loaded");
}

TEST(DrainMove, GoesWithADrain) {
  const auto config = MustLoad(InHttp(InUpstream("", "", "drain=30m move=20/s")));
  EXPECT_EQ(config->http->upstreams[0]->servers[0].drain_move, 20);
  EXPECT_EQ(ErrorOf("", "", "move=20/s drain"), "loaded");
  EXPECT_THAT(ErrorOf("", "", "move=20/s"), HasSubstr("\"move\" goes with \"drain\" only"));
  EXPECT_THAT(ErrorOf("", "", "drain move=20"), HasSubstr("it is sessions a second, as 20/s"));
  EXPECT_THAT(ErrorOf("sticky_policy failback=immediate;", "", "drain move=1/s"),
              HasSubstr("\"move\" is not possible with \"failback\""));
  EXPECT_THAT(LoadError(InHttp("upstream u { zone u 64k; server 127.0.0.1:1 drain move=1/s; }")),
              HasSubstr("\"move\" requires \"sticky learn\""));
}

// What is idle in a zone whose sessions are short, where nothing is said.
TEST(Rebalance, IdleFitsTheZone) {
  SessionZone zone;
  zone.timeout = 1h;
  EXPECT_EQ(zone.touch_interval(), 30s);
  EXPECT_EQ(zone.free_after(), 60s);
  EXPECT_EQ(Rebalance().IdleIn(zone), 2min);
  zone.timeout = 60s;
  EXPECT_EQ(zone.free_after(), 20s);
  EXPECT_EQ(Rebalance().IdleIn(zone), 30s);
  zone.norefresh = true;
  EXPECT_EQ(zone.touch_interval(), 0ms);
}

}  // namespace
}  // namespace limpet::conf
