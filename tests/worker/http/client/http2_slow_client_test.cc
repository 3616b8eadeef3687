// HTTP/2 to a client that takes little: what waits for it, what ends while it waits, and what the
// worker does meanwhile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/timerfd.h>

#include <string>

#include "tests/worker/http/client/http2_fixture.h"

namespace limpet::worker {
namespace {

using http2::Data;
using http2::Frame;
using http2::kEndHeaders;
using http2::kEndStream;
using http2::ResetStream;
using http2::Setting;
using http2::WindowUpdate;

constexpr size_t kBig = 300'000;
constexpr uint32_t kWide = 10'000'000;  // a window

constexpr std::string_view kServers = R"(
  client_body_timeout 20s;
  send_timeout 30s;
  keepalive_timeout 3600s;
  upstream app { server unix:@ORIGIN@ max_fails=0; }
  server {
    listen 127.0.0.1:80;
    http2 on;
    http2_websocket on;
    location / { return 200 "hello"; }
    location /big { alias @FILES@/big; }
    location /impatient { send_timeout 5s; alias @FILES@/big; }
    location /gzip { gzip on; gzip_types *; gzip_min_length 1; alias @FILES@/big; }
    location /proxy { proxy_pass http://app; }
    location /stream { proxy_pass http://app; proxy_request_buffering off; }
    location /ignore { proxy_pass http://app; proxy_ignore_client_abort on; proxy_buffering off; }
    location /ignore-small {
      proxy_pass http://app;
      proxy_ignore_client_abort on;
      proxy_request_buffering off;
      client_max_body_size 5;
    }
    location /gunzip { gunzip on; proxy_pass http://app; }
    location /small { client_max_body_size 5; error_page 413 /proxy; proxy_pass http://app; }
    location /websocket {
      proxy_pass http://app;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
    }
  }
)";

class Http2SlowClient : public Http2Test {
 protected:
  Http2SlowClient() : Http2Test(kServers) {
    // Bytes that gzip cannot make less of.
    std::string bytes;
    uint32_t state = 1;
    while (bytes.size() < kBig) {
      state = state * 1664525 + 1013904223;
      bytes.push_back(static_cast<char>(state >> 24));
    }
    AddFile("big", bytes);
    OpenWith(kWide);
  }

  // A client whose streams begin with that window; all together have a wide one.
  void OpenWith(uint32_t window) {
    Open(Setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window));
    Send(WindowUpdate(0, kWide));
  }
  std::string GetPacked(uint32_t stream) {
    return client_.Head(stream, "GET", "/gzip", kEndHeaders | kEndStream,
                        {{"accept-encoding", "gzip"}});
  }
  std::string Connect8441(uint32_t stream) {
    return Frame(NGHTTP2_HEADERS, kEndHeaders, stream,
                 client_.Block({{":method", "CONNECT"},
                                {":protocol", "websocket"},
                                {":scheme", "http"},
                                {":authority", "a"},
                                {":path", "/websocket"}}));
  }
  std::string TakeAll() {
    wire().Take(SIZE_MAX);
    Settle();
    return Frames();
  }
};

// A frame of it has been prepared and waits for the socket, when there is no stream any more.
TEST_F(Http2SlowClient, AStreamIsResetWhileItsFrameWaitsForTheSocket) {
  wire().set_room(10);
  Send(client_.Get(1, "/impatient"));
  Advance(5000);
  EXPECT_THAT(TakeAll(), testing::EndsWith("RST_STREAM(1,1)"));
  EXPECT_EQ(Reply(client_.Get(3, "/")), "HEADERS(3,200) DATA(3,5)+END");
  EXPECT_EQ(counters().waiting, 1);
}

// Likewise, at a moment of the client's choice: its body is longer than it has said.
TEST_F(Http2SlowClient, AClientMakesUsResetAStreamWhoseFrameWaits) {
  wire().set_room(10);
  Send(client_.Head(1, "GET", "/gzip", kEndHeaders,
                    {{"content-length", "5"}, {"accept-encoding", "gzip"}}));
  for (int i = 0; i < 3; ++i) {
    wire().Take(10);
    Settle();
  }
  Send(Data(1, "123456"));
  Send(client_.Get(3, "/"));
  EXPECT_THAT(TakeAll(), testing::HasSubstr("RST_STREAM(1,"));
  EXPECT_EQ(counters().waiting, 1);
}

TEST_F(Http2SlowClient, ARequestDoesNotTakeItsOwnConnectionsPlace) {
  static const Log quiet;
  loop().places().Limit(1, quiet);
  EXPECT_THAT(Reply(client_.Get(1, "/proxy")), testing::StartsWith("HEADERS(1,50"));
  EXPECT_FALSE(wire().closed());
  loop().places().Limit(SIZE_MAX, quiet);
  EXPECT_EQ(Reply(client_.Get(3, "/")), "HEADERS(3,200) DATA(3,5)+END");
}

// How often the loop comes round while nothing happens for a moment of the real time.
class IdlePasses {
 public:
  explicit IdlePasses(Loop& loop)
      : loop_(loop),
        clock_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)),
        watch_(loop, clock_.get(), Callback::To<&IdlePasses::OnClock>(this)) {
    const itimerspec moment{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_nsec = 30'000'000}};
    ::timerfd_settime(clock_.get(), 0, &moment, nullptr);
    watch_.Start();
  }
  int Count() {
    while (!over_) {
      loop_.RunOnce();
      ++passes_;
    }
    return passes_;
  }

 private:
  void OnClock() {
    over_ = true;
    watch_.Stop();
  }
  Loop& loop_;
  UniqueFd clock_;
  FdWatch watch_;
  bool over_ = false;
  int passes_ = 0;
};

TEST_F(Http2SlowClient, AFilterThatHoldsBackDoesNotSpin) {
  wire().set_room(30'000);
  Send(GetPacked(1));
  wire().Take(10'000);
  Settle();
  EXPECT_LT(IdlePasses(loop()).Count(), 10);
  Send(GetPacked(3));
  EXPECT_LT(IdlePasses(loop()).Count(), 10);
  const std::string rest = TakeAll();
  EXPECT_THAT(rest, testing::HasSubstr("DATA(1,"));
  EXPECT_THAT(rest, testing::HasSubstr("+END"));
}

TEST_F(Http2SlowClient, AnExchangeThatWaitsForAClientThatGoesEnds) {
  OpenWith(0);
  Send(client_.Get(1, "/ignore"));
  origin().Answer("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + std::string(100'000, 'x'));
  Settle();
  Reply(ResetStream(1, NGHTTP2_CANCEL));
  origin().Answer(std::string(100'000, 'x'));
  Settle();
  EXPECT_EQ(counters().writing, 0);
}

TEST_F(Http2SlowClient, AnExchangeThatWaitsForAConnectionThatGoesEnds) {
  OpenWith(0);
  Send(client_.Get(1, "/ignore"));
  origin().Answer("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + std::string(100'000, 'x'));
  Settle();
  const size_t before = connections().size();
  wire().End();
  Settle();
  origin().Answer(std::string(100'000, 'x'));
  Settle();
  EXPECT_EQ(connections().size(), before - 1);
}

// The first one has all of the connection: the client reads on, and gives windows for both.
TEST_F(Http2SlowClient, AStreamMayWaitLongForItsTurn) {
  wire().set_room(1000);
  Send(client_.Get(1, "/big"));
  Send(client_.Get(3, "/big"));
  std::string frames;
  for (int i = 0; i < 5; ++i) {
    wire().Take(50'000);
    Settle();
    Advance(10'000);
    frames += Frames() + " ";
  }
  EXPECT_THAT(frames, testing::Not(testing::HasSubstr("RST_STREAM")));
  frames += TakeAll();
  EXPECT_THAT(frames, testing::Not(testing::HasSubstr("RST_STREAM")));
}

TEST_F(Http2SlowClient, ABodyThatAFilterCannotEndDoesNotLookWhole) {
  Send(client_.Get(1, "/gunzip"));
  const std::string cut("\x1f\x8b\x08\0\0\0\0\0\0\x03\x4b\x4c", 12);
  origin().Answer("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\n" + cut);
  Settle();
  const std::string frames = Frames();
  EXPECT_THAT(frames, testing::EndsWith("RST_STREAM(1,2)"));
  EXPECT_THAT(frames, testing::Not(testing::HasSubstr("+END")));
}

// RFC 8441 5: it would be told that the tunnel is open.
TEST_F(Http2SlowClient, AnUpstreamThatDoesNotSwitchOpensNoTunnel) {
  Send(Connect8441(1));
  ASSERT_TRUE(origin().asked());
  origin().Answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
  Settle();
  EXPECT_EQ(Frames(), "RST_STREAM(1,2)");
  EXPECT_EQ(counters().waiting, 1);
  EXPECT_THAT(TakeLog(), testing::HasSubstr("is no answer to its request"));
}

// Its end is not waited for.
TEST_F(Http2SlowClient, AnUpstreamThatDoesNotSwitchAndDoesNotEndIsLeft) {
  Send(Connect8441(1));
  origin().Answer("HTTP/1.1 200 OK\r\n\r\nabc");
  Settle();
  EXPECT_EQ(Frames(), "RST_STREAM(1,2)");
  EXPECT_EQ(counters().waiting, 1);
  EXPECT_FALSE(origin().asked());
}

TEST_F(Http2SlowClient, ABodyThatIsTooLargeIsNotKept) {
  Send(client_.Head(1, "POST", "/small", kEndHeaders) + Data(1, "1234567"));
  ASSERT_TRUE(origin().asked());  // by the error page
  const size_t before = runtime().blocks.in_use();
  for (int i = 0; i < 40; ++i) Send(Data(1, std::string(16'000, 'x')));
  EXPECT_LE(runtime().blocks.in_use(), before + 32'768);
  origin().Answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
  Settle();
  EXPECT_THAT(Frames(), testing::HasSubstr("HEADERS(1,413)"));
}

// What is held of a body may be too large when the connection has ended long ago, in a flood.
TEST_F(Http2SlowClient, ABodyThatIsTooLargeIsRefusedAfterTheConnection) {
  std::string flood = client_.Head(1, "POST", "/ignore-small", kEndHeaders) + Data(1, "1234567");
  for (int i = 0; i < 2000; ++i) flood += Frame(NGHTTP2_PING, 0, 0, "01234567");
  const size_t before = connections().size();
  Send(flood);
  EXPECT_THAT(Frames(), testing::HasSubstr(",11)"));
  wire().End();
  Settle();
  if (origin().connections() > 0) origin().Close();
  Settle();
  EXPECT_LT(connections().size(), before);
}

// CVE-2025-8671, by a length: each costs the upstream a request.
TEST_F(Http2SlowClient, BodiesOfAWrongLengthWithoutEndAreTooMany) {
  std::string frames;
  for (uint32_t stream = 1; stream < 4000 && !wire().write_shut(); stream += 2)
    frames = Reply(Post(stream, "/stream", "1") + Data(stream, "12"));
  EXPECT_THAT(frames, testing::HasSubstr(",11)"));
  EXPECT_LT(origin().connections(), 500u);
}

}  // namespace
}  // namespace limpet::worker
