// health_check, match, queue, sticky_policy, sticky_strict, sticky_secret.
#include "tests/conf/support.h"

namespace limpet::conf {
namespace {

std::string InUpstream(const std::string& text) {
  return InHttp("upstream u { server 127.0.0.1:1; " + text + " }");
}

std::string Checked(const std::string& check, const std::string& upstream = "zone z 64k;") {
  return InHttp("upstream u { server 127.0.0.1:1; " + upstream +
                " } match ok { status 200; } server { location / { " + check +
                " proxy_pass http://u; } }");
}

const Upstream& UpstreamOf(const Config& config) { return *config.http->upstreams[0]; }

TEST(HealthCheck, BelongsToItsUpstream) {
  const auto config = MustLoad(
      Checked("health_check interval=2s jitter=1s fails=3 passes=2 uri=/x port=81 type=http "
              "match=ok mandatory persistent keepalive_time=10s;"));
  const Upstream& upstream = UpstreamOf(*config);
  ASSERT_EQ(upstream.checks.size(), 1u);
  EXPECT_TRUE(upstream.mandatory && upstream.persistent);
  const HealthCheck& check = *upstream.checks[0]->health_check;
  EXPECT_EQ(check.interval, 2s);
  EXPECT_EQ(check.jitter, 1s);
  EXPECT_EQ(check.fails, 3);
  EXPECT_EQ(check.passes, 2);
  EXPECT_EQ(check.uri, "/x");
  EXPECT_EQ(check.port, 81);
  EXPECT_EQ(check.match, 0);
  EXPECT_FALSE(check.tcp);
}

TEST(HealthCheck, NestedLocationsDoNotRepeatIt) {
  const auto config = MustLoad(InHttp(
      "upstream u { server 127.0.0.1:1; zone z 64k; } server { location / { proxy_pass http://u; "
      "health_check; location /a { } if ($arg_x) { return 204; } limit_except GET { deny all; } } "
      "}"));
  EXPECT_EQ(UpstreamOf(*config).checks.size(), 1u);
}

TEST(HealthCheck, RefusesWhatItDoesNotUnderstand) {
  const std::pair<std::string, std::string> cases[] = {
      {Checked("health_check interval=0;"),
       "invalid parameter \"interval=0\": a time is 500ms, 30s or 1h30m in t.conf:1"},
      {Checked("health_check fails=0;"),
       "invalid parameter \"fails=0\": the number is 1 to 2147483647 in t.conf:1"},
      {Checked("health_check port=70000;"),
       "invalid parameter \"port=70000\": the number is 1 to 65535 in t.conf:1"},
      {Checked("health_check type=udp;"),
       "invalid parameter \"type=udp\": it is http or tcp in t.conf:1"},
      {Checked("health_check uri=x;"),
       "invalid parameter \"uri=x\": a path begins with / in t.conf:1"},
      {Checked("health_check often;"),
       "invalid parameter \"often\": health_check takes [interval=5s] [jitter=0] [fails=1] "
       "[passes=1] [uri=/] [port=] [type=http|tcp] [match=NAME] [mandatory] [persistent] in "
       "t.conf:1"},
      {Checked("health_check match=no;"), "match \"no\" is not defined in t.conf:1"},
      {Checked("health_check;", ""),
       "\"health_check\" requires upstream \"u\" to be in shared memory, add a \"zone\" to it in "
       "t.conf:1"},
      {InLocation("health_check;"),
       "\"health_check\" needs a \"proxy_pass\" without variables in t.conf:1"},
      {InHttp("match a { status 200; } match a { status 200; }"),
       "duplicate match \"a\" in t.conf:1"},
      {InHttp("match a { status 20; }"),
       "invalid status \"20\": it is 100 to 999, or a range as 300-303 in t.conf:1"},
      {InHttp("match a { status 300-200; }"),
       "invalid status \"300-200\": it is 100 to 999, or a range as 300-303 in t.conf:1"},
      {InHttp("match a { status !; }"),
       "invalid number of arguments in \"status\" directive in t.conf:1"},
      {InHttp("match a { header A like b; }"),
       "invalid parameter \"like\": it is =, !=, ~ or !~ in t.conf:1"},
      {InHttp("match a { body = b; }"), "invalid parameter \"=\": it is ~ or !~ in t.conf:1"},
      {InHttp("match a { body ~ a; body ~ b; }"), "\"body\" directive is duplicate in t.conf:1"},
      {InHttp("match a { require $x; }"),
       "unknown directive \"require\": a match has status, header and body in t.conf:1"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(LoadError(text), message) << text;
}

TEST(SessionPolicy, SaysWhatBecomesOfSessions) {
  const auto config = MustLoad(
      InUpstream("queue 10 timeout=3s; sticky cookie id; sticky_strict on; sticky_secret a$host; "
                 "sticky_policy on_down=fail=503 on_busy=queue failback=immediate;"));
  const Upstream& upstream = UpstreamOf(*config);
  EXPECT_EQ(upstream.queue.limit, 10);
  EXPECT_EQ(upstream.queue.timeout, 3s);
  EXPECT_TRUE(upstream.sticky.strict);
  EXPECT_EQ(upstream.sticky.secret.source(), "a$host");
  const SessionPolicy& policy = upstream.sticky.policy;
  EXPECT_EQ(policy.on_down, SessionPolicy::Down::kFail);
  EXPECT_EQ(policy.down_code, 503);
  EXPECT_EQ(policy.on_busy, SessionPolicy::Busy::kQueue);
  EXPECT_EQ(policy.failback, SessionPolicy::Failback::kImmediate);
}

TEST(StickyCookie, TakesAnyAttributeThatHasAName) {
  const auto config = MustLoad(
      InUpstream("sticky cookie id path=/$host max-age=3600 Priority=$arg_p Partitioned;"));
  const StickyCookie& cookie = UpstreamOf(*config).sticky.cookie;
  EXPECT_TRUE(cookie.path.is_constant());
  ASSERT_EQ(cookie.others.size(), 3u);
  EXPECT_EQ(cookie.others[0].name, "max-age");
  EXPECT_EQ(cookie.others[1].name, "Priority");
  EXPECT_EQ(cookie.others[1].value.source(), "$arg_p");
  EXPECT_EQ(cookie.others[2].name, "");
  EXPECT_EQ(cookie.others[2].value.source(), "Partitioned");
  for (const char* wrong : {"a;b", "=1", "a;b=1", "secure=1", "expires"}) {
    EXPECT_THAT(LoadError(InUpstream("sticky cookie id \"" + std::string(wrong) + "\";")),
                testing::StartsWith("unknown parameter \"" + std::string(wrong) +
                                    "\": sticky takes cookie NAME ["));
  }
  EXPECT_EQ(LoadError(InUpstream("sticky cookie id domain=;")),
            "\"sticky\" directive no value for \"domain\" in t.conf:1");
  EXPECT_EQ(LoadError(InUpstream("sticky cookie id max-age=1 Max-Age=2;")),
            "\"sticky\" directive parameter \"max-age\" is duplicate in t.conf:1");
}

TEST(SessionPolicy, IsWhatNginxDoesUnlessSaid) {
  const auto config = MustLoad(InUpstream("sticky cookie id;"));
  const Upstream& upstream = UpstreamOf(*config);
  EXPECT_EQ(upstream.queue.limit, 0);
  EXPECT_EQ(upstream.sticky.policy.on_down, SessionPolicy::Down::kRebind);
  EXPECT_EQ(upstream.sticky.policy.on_busy, SessionPolicy::Busy::kRebind);
  EXPECT_EQ(upstream.sticky.policy.failback, SessionPolicy::Failback::kNever);
}

TEST(SessionPolicy, RefusesWhatItDoesNotUnderstand) {
  const std::string takes =
      "sticky_policy takes [on_down=rebind|temporary|fail[=CODE]] "
      "[on_busy=rebind|queue|fail[=CODE]] "
      "[failback=never|idle|immediate] in t.conf:1";
  const std::pair<std::string, std::string> cases[] = {
      {InUpstream("sticky_policy on_down=maybe;"), "invalid parameter \"on_down=maybe\": " + takes},
      {InUpstream("sticky_policy on_down=fail=200;"),
       "invalid parameter \"on_down=fail=200\": a code is 400 to 599 in t.conf:1"},
      {InUpstream("sticky_policy on_busy=temporary;"),
       "invalid parameter \"on_busy=temporary\": " + takes},
      {InUpstream("sticky_policy failback=soon;"), "invalid parameter \"failback=soon\": " + takes},
      {InUpstream("sticky_policy on_busy=queue;"),
       "\"on_busy=queue\" requires a \"queue\" in upstream \"u\" in t.conf:1"},
      {InUpstream("sticky cookie id; sticky_policy failback=idle;"),
       "\"failback=idle\" requires \"sticky learn\" in upstream \"u\" in t.conf:1"},
      {InUpstream("queue 0;"),
       "invalid value \"0\" in \"queue\" directive: it is 1 to 2147483647 in t.conf:1"},
      {InUpstream("queue 5 timeout=0;"),
       "invalid parameter \"timeout=0\": it is timeout=TIME, such as timeout=60s in t.conf:1"},
      {InUpstream("queue 5 5;"),
       "invalid parameter \"5\": it is timeout=TIME, such as timeout=60s in t.conf:1"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(LoadError(text), message) << text;
}

TEST(SessionPolicy, LinesThatDoNothingAreWarnedOf) {
  const std::string learn = "sticky learn create=$upstream_cookie_a lookup=$cookie_a zone=z:1m;";
  const std::string none = " has no effect without \"sticky\" in t.conf:1";
  const std::string queue =
      "[warn] \"queue\" has no effect: no server of upstream \"u\" has \"max_conns\" in t.conf:1";
  const std::pair<std::string, std::string> idle[] = {
      {"sticky_policy on_down=fail;", "[warn] \"sticky_policy\"" + none},
      {"hash $uri; sticky_strict on;", "[warn] \"sticky_strict\"" + none},
      {"sticky_secret x;", "[warn] \"sticky_secret\"" + none},
      {"sticky_secret x; " + learn,
       "[warn] \"sticky_secret\" has no effect on \"sticky learn\": no id is shown in t.conf:1"},
      {"queue 5;", queue},
      {"sticky cookie a; least_sessions;",
       "[warn] \"least_sessions\" has no effect without \"sticky learn\": servers take turns in "
       "t.conf:1"},
      {"ip_hash; server 127.0.0.1:2 slow_start=5s;",
       "[warn] \"slow_start\" has no effect with \"ip_hash\" in t.conf:1"},
  };
  for (const auto& [text, warning] : idle)
    EXPECT_THAT(MustLoad(InUpstream(text))->warnings, testing::ElementsAre(warning)) << text;
  for (const std::string& text :
       {std::string("sticky_strict off;"), "sticky_strict on; sticky_policy on_down=fail; " + learn,
        std::string("sticky_secret x; sticky cookie a;"),
        std::string("queue 5; server 127.0.0.1:2 max_conns=1;"),
        std::string("least_conn; server 127.0.0.1:2 slow_start=5s;")})
    EXPECT_THAT(MustLoad(InUpstream(text))->warnings, testing::IsEmpty()) << text;
}

TEST(Ids, OfTwoServersThatAreTheSameAreTold) {
  const auto said = [](const std::string& servers, const std::string& sticky) {
    return MustLoad(InHttp("upstream u { " + servers + sticky + " }"))->notices;
  };
  const std::string twice = "server 127.0.0.1:1 sid=a; server 127.0.0.1:2 sid=a; ";
  const std::string cookie = "sticky cookie srv path=/;";
  EXPECT_THAT(
      said(twice, cookie),
      testing::ElementsAre("upstream \"u\": servers \"127.0.0.1:1\" and \"127.0.0.1:2\" have "
                           "the same id \"a\": sessions of both go to the first of them in "
                           "t.conf:1"));
  EXPECT_THAT(said(twice, ""), testing::IsEmpty());
  for (const std::string second : {"sid=b", "sid=a backup", "sid=a down", "sid=a drain"}) {
    const std::string servers = "server 127.0.0.1:1 sid=a; server 127.0.0.1:2 " + second + "; ";
    EXPECT_THAT(said(servers, cookie), testing::IsEmpty()) << second;
  }
}

TEST(Drain, MayHaveATime) {
  const auto config = MustLoad(InHttp("upstream u { server 127.0.0.1:1 drain=5m; }"));
  EXPECT_TRUE(UpstreamOf(*config).servers[0].drain);
  EXPECT_EQ(UpstreamOf(*config).servers[0].drain_timeout, 5min);
  EXPECT_EQ(LoadError(InHttp("upstream u { server 127.0.0.1:1 drain=x; }")),
            "invalid parameter \"drain=x\": it is a time above 0, as 30m, or 30m,keep in t.conf:1");
}

}  // namespace
}  // namespace limpet::conf
