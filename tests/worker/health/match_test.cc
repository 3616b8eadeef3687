#include "worker/health/match.h"

#include <gtest/gtest.h>

#include "proto/http1/response_parser.h"
#include "tests/conf/support.h"
#include "worker/health/group_check.h"
#include "worker/health/probe_request.h"

namespace limpet::worker {
namespace {

constexpr std::string_view kAnswer =
    "HTTP/1.1 301 Moved\r\nServer: one\r\nX-State: ready\r\nX-State: really\r\n"
    "X-Bomb: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\r\n\r\n";

std::unique_ptr<const conf::Config> Load(const std::string& match) {
  const std::string text = "events{}http{match m{" + match +
                           "}upstream u{zone z 64k;server 127.0.0.1:1;}server{location /{"
                           "proxy_pass http://u;proxy_set_header Host a.example;"
                           "proxy_set_header X-From $proxy_host;proxy_set_header X-Client "
                           "$remote_addr;proxy_set_header Connection up;"
                           "health_check uri=/alive match=m;}}}";
  return conf::MustLoad(text);
}

std::string Judge(const std::string& match, std::string_view body = {}) {
  const auto config = Load(match);
  proto::ResponseParser parser;
  parser.Parse(kAnswer.data(), kAnswer.size(), 4096);
  const conf::Match& m = config->http->matches[0];
  ProbeResult result = JudgeHead(&m, parser.head());
  if (result.good()) result = JudgeBody(m, body);
  return std::string(result.failed_in) + result.detail;
}

TEST(Match, JudgesTheStatus) {
  for (const char* good : {"status 301;", "status 200-304;", "status 200 301;", "status ! 500;",
                           "status ! 200 400-599;", ""})
    EXPECT_EQ(Judge(good), "") << good;
  for (const char* bad :
       {"status 200;", "status 302-399 200;", "status ! 301;", "status ! 300-399;"})
    EXPECT_EQ(Judge(bad), "checking status code") << bad;
}

TEST(Match, JudgesHeaders) {
  for (const char* good :
       {"header Server;", "header ! X-No;", "header server = one;", "header X-State = really;",
        "header X-State != no;", "header X-State ~ ^re;", "header X-State !~ busy;"})
    EXPECT_EQ(Judge(good), "") << good;
  for (const char* bad :
       {"header X-No;", "header ! Server;", "header Server = two;", "header X-State != ready;",
        "header X-State ~ ^y;", "header X-State !~ all;", "status 301; header X-No = a;"})
    EXPECT_EQ(Judge(bad), "checking header") << bad;
}

TEST(Match, JudgesTheBody) {
  EXPECT_EQ(Judge("body ~ \"all .* well\";", "all is well"), "");
  EXPECT_EQ(Judge("body ~ \"all .* well\";", "bad"), "checking body");
  EXPECT_EQ(Judge("body !~ bad;", "all is well"), "");
  EXPECT_EQ(Judge("body !~ bad;", "too bad"), "checking body");
}

// Whatever is asked of it, an answer that cannot be judged is a bad one, and the log says why.
TEST(Match, FailsWhereARegularExpressionGivesUp) {
  const std::string bomb = std::string(40, 'a') + "b";
  const std::string why = " (pcre2_match() failed: match limit exceeded using \"^(a+)+$\")";
  EXPECT_EQ(Judge("body ~ ^(a+)+$;", bomb), "checking body" + why);
  EXPECT_EQ(Judge("body !~ ^(a+)+$;", bomb), "checking body" + why);
  EXPECT_EQ(Judge("header X-Bomb ~ ^(a+)+$;"), "checking header" + why);
  EXPECT_EQ(Judge("header X-Bomb !~ ^(a+)+$;"), "checking header" + why);
  EXPECT_EQ(Judge("body ~ ^(?:.|\\s)*well;", std::string(200'000, ' ') + "well"), "");
}

TEST(Match, OfNothingIsTwoAndThreeHundreds) {
  proto::ResponseHead head;
  for (const auto& [status, good] :
       {std::pair{199, false}, {200, true}, {399, true}, {400, false}}) {
    head.status = status;
    EXPECT_EQ(JudgeHead(nullptr, head).good(), good) << status;
  }
}

TEST(ProbeRequest, HasTheConstantHeadersOfTheLocation) {
  const auto config = Load("status 200;");
  const conf::Location& location = *config->http->upstreams[0]->checks[0];
  std::string failure;
  EXPECT_EQ(ProbeRequest(location, config->http->variables, Log(), &failure),
            "GET /alive HTTP/1.1\r\nHost: a.example\r\nX-From: u\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(failure, "");
}

TEST(CheckCounter, CountsInARow) {
  using Change = CheckCounter::Change;
  conf::HealthCheck check;
  check.fails = 2;
  check.passes = 3;
  CheckCounter counter;
  const CheckCounter::Standing fine, failing{.failing = true};
  EXPECT_EQ(counter.Count(check, false, fine), Change::kNone);
  EXPECT_EQ(counter.Count(check, true, fine), Change::kNone);
  EXPECT_EQ(counter.Count(check, false, fine), Change::kNone);  // begins anew
  EXPECT_EQ(counter.Count(check, false, fine), Change::kUnhealthy);
  EXPECT_EQ(counter.Count(check, false, failing), Change::kNone);  // told once
  EXPECT_EQ(counter.Count(check, true, failing), Change::kNone);
  EXPECT_EQ(counter.Count(check, true, failing), Change::kNone);
  EXPECT_EQ(counter.Count(check, true, failing), Change::kHealthy);
  EXPECT_EQ(counter.Count(check, true, fine), Change::kNone);
}

TEST(CheckCounter, LetsAWaitingPeerInAfterItsPasses) {
  using Change = CheckCounter::Change;
  const conf::HealthCheck check;
  CheckCounter counter;
  EXPECT_EQ(counter.Count(check, true, {.waiting = true}), Change::kHealthy);
  EXPECT_EQ(CheckCounter().Count(check, false, {.waiting = true}), Change::kUnhealthy);
}

TEST(CheckCounter, AsksOfOneThatWasInUseOnlyNotToFailOnce) {
  using Change = CheckCounter::Change;
  conf::HealthCheck check;
  check.fails = check.passes = 3;
  const CheckCounter::Standing on_trial{.on_trial = true};
  EXPECT_EQ(CheckCounter().Count(check, false, on_trial), Change::kUnhealthy);
  CheckCounter counter;
  EXPECT_EQ(counter.Count(check, true, on_trial), Change::kNone);
  EXPECT_EQ(counter.Count(check, true, on_trial), Change::kNone);
  EXPECT_EQ(counter.Count(check, true, on_trial), Change::kHealthy);
}

}  // namespace
}  // namespace limpet::worker
