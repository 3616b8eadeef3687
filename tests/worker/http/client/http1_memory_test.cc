// What an HTTP/1 connection holds in blocks while its request waits.
#include <gtest/gtest.h>

#include <string>

#include "tests/worker/http/client/client_fixture.h"

namespace limpet::worker {
namespace {

constexpr std::string_view kServers = R"(
  upstream app { server unix:@ORIGIN@; }
  server { listen 127.0.0.1:80; location / { proxy_pass http://app; proxy_set_header X $http_x; } }
)";
constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";

class Http1Memory : public ClientTest {
 protected:
  Http1Memory() : ClientTest(kServers) { Connect(); }
  size_t held() { return runtime().blocks.in_use(); }
};

TEST_F(Http1Memory, AShortHeadIsInASmallBlock) {
  Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(origin().asked());
  EXPECT_EQ(held(), Bytes(BlockSize::k1K));
  origin().Answer(kAnswer);
  Settle();
  EXPECT_TRUE(Written().ends_with("abc"));
  EXPECT_EQ(held(), 0u);
}

TEST_F(Http1Memory, ALongHeadIsNot) {
  Send("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(2000, 'x') + "\r\n\r\n");
  ASSERT_TRUE(origin().asked());
  EXPECT_EQ(held(), Bytes(BlockSize::k4K));
}

TEST_F(Http1Memory, AHeadGrowsOutOfItsBlock) {
  std::string value;
  Send("GET / HTTP/1.1\r\nHost: a\r\nX: ");
  EXPECT_EQ(held(), Bytes(BlockSize::k1K));
  for (int part = 0; part < 60; ++part) {
    const std::string more(100, static_cast<char>('a' + part % 26));
    value += more;
    Send(more);
  }
  EXPECT_EQ(held(), Bytes(BlockSize::k16K));
  Send("\r\n\r\n");
  ASSERT_TRUE(origin().asked());
  EXPECT_NE(origin().received().find("X: " + value + "\r\n"), std::string::npos);
}

TEST_F(Http1Memory, PipelinedRequestsComeOutOfASmallBlockWhole) {
  Send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nX: " +
       std::string(700, 'x'));
  ASSERT_TRUE(origin().asked());
  Send(std::string(1000, 'y') + "\r\n\r\n");
  origin().Answer(kAnswer);
  Settle();
  EXPECT_NE(origin().received().find("/2"), std::string::npos);
  EXPECT_NE(origin().received().find(std::string(700, 'x') + std::string(1000, 'y') + "\r\n"),
            std::string::npos);
}

}  // namespace
}  // namespace limpet::worker
