// Interim heads to a client that is gone, and what the log says of a request that never came.
#include <gtest/gtest.h>

#include <string>

#include "tests/worker/http/client/client_fixture.h"

namespace limpet::worker {
namespace {

constexpr std::string_view kServers = R"(
  upstream app { server unix:@ORIGIN@; }
  server {
    listen 127.0.0.1:80;
    http2 on;
    location / { early_hints 1; proxy_pass http://app; }
    location /here { return 200 "here"; }
    location /paced { limit_rate 1k; proxy_pass http://app; }
  }
)";

class Http1Interim : public ClientTest {
 protected:
  Http1Interim() : ClientTest(kServers) { Connect(); }
};

TEST_F(Http1Interim, HintsReachTheClientBeforeTheAnswer) {
  Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(origin().asked());
  origin().Answer("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
  Settle();
  EXPECT_EQ(Written(), "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
  origin().Answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  Settle();
  EXPECT_TRUE(Written().ends_with("\r\n\r\nok"));
}

// The answer has come together with the hints, and is still to be read when the client is lost.
TEST_F(Http1Interim, HintsForAClientThatIsGone) {
  Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(origin().asked());
  wire().BreakWrites();
  origin().Answer(
      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  Settle();
  EXPECT_TRUE(wire().closed());
  CheckNothingIsLeft();
}

TEST_F(Http1Interim, ContinueForAClientThatIsGone) {
  wire().BreakWrites();
  Send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  Settle();
  EXPECT_TRUE(wire().closed());
  CheckNothingIsLeft();
}

// A limit counts what belongs to the response.
TEST_F(Http1Interim, ContinueIsNotHeldBackByALimitOfTheRate) {
  Send("POST /paced HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(Written(), "HTTP/1.1 100 Continue\r\n\r\n");
  Send("abc");
  origin().Answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  Settle();
  EXPECT_TRUE(Written().ends_with("\r\n\r\nok"));
}

TEST_F(Http1Interim, NothingOfAnotherRequestIsToldOfOneThatNeverCame) {
  Send(
      "GET /here?secret HTTP/1.1\r\nHost: secret\r\nUser-Agent: secret\r\nReferer: secret\r\n\r\n");
  ASSERT_TRUE(Written().ends_with("here"));
  (void)TakeLog();
  Connect();
  Send("PRI");  // it may become HTTP/2
  wire().End();
  Settle();
  const std::string log = TakeLog();
  EXPECT_NE(log.find("prematurely closed"), std::string::npos) << log;
  EXPECT_EQ(log.find("secret"), std::string::npos) << log;
}

}  // namespace
}  // namespace limpet::worker
