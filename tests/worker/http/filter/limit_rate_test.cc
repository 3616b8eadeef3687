// limit_rate_after of an exchange: asked for with every write, evaluated once.
#include "worker/http/filter/limit_rate.h"

#include <gtest/gtest.h>

#include "tests/worker/http/exchange/exchange_fixture.h"

namespace limpet::worker {
namespace {

constexpr std::string_view kServers = R"(
  upstream app { server unix:@ORIGIN@ max_fails=0; }
  server {
    listen 127.0.0.1:80;
    limit_rate 1k;
    limit_rate_after "${arg_first}k";
    location / { proxy_pass http://app; }
  }
)";

class LimitRate : public ExchangeTest {
 protected:
  LimitRate() : ExchangeTest(kServers) {}
};

TEST_F(LimitRate, IsEvaluatedOnceForARequest) {
  Start("GET /?first=5 HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(ClientRateAfter(exchange_), 5u * 1024);
  const char* const before = exchange_.arena().Allocate(1);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(ClientRateAfter(exchange_), 5u * 1024);
  EXPECT_EQ(exchange_.arena().Allocate(1), before + 1);
  exchange_.Reset();
  Start("GET /?first=7 HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(ClientRateAfter(exchange_), 7u * 1024);
}

}  // namespace
}  // namespace limpet::worker
