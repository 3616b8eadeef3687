// Http2Connection's beginning, and Http2Stream: bodies and windows, resets by both sides, an
// exchange that outlives its stream.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/worker/http/client/http2_fixture.h"

namespace limpet::worker {
namespace {

using http2::Data;
using http2::Frame;
using http2::kAck;
using http2::kEndHeaders;
using http2::kEndStream;
using http2::kPreface;
using http2::ResetStream;
using http2::Setting;
using http2::WindowUpdate;

constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";

using Http2Begin = Http2Test;

TEST_F(Http2Begin, AnswersThePrefaceWithSettings) {
  Connect();
  EXPECT_EQ(Reply(std::string(kPreface) + Frame(NGHTTP2_SETTINGS, 0, 0, "")),
            "SETTINGS SETTINGS+ACK WINDOW_UPDATE(0,2147418112)");
}

TEST_F(Http2Begin, WaitsForTheRestOfAPreface) {
  Connect();
  Send(kPreface.substr(0, 5));
  EXPECT_EQ(counters().reading, 1);
  EXPECT_EQ(Written(), "");
  EXPECT_EQ(Reply(std::string(kPreface.substr(5)) + Frame(NGHTTP2_SETTINGS, 0, 0, "")),
            "SETTINGS SETTINGS+ACK WINDOW_UPDATE(0,2147418112)");
  EXPECT_EQ(counters().reading, 0);
  EXPECT_EQ(counters().waiting, 1);
}

TEST_F(Http2Begin, GivesUpOnAPrefaceThatIsNotFinished) {
  Connect();
  Send(kPreface.substr(0, 5));
  Advance(9999);
  EXPECT_FALSE(wire().closed());
  Advance(1);
  EXPECT_TRUE(wire().closed());
}

TEST_F(Http2Begin, TakesAnotherBeginningForHttp1) {
  Connect();
  Send("PRI * HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(Written().substr(0, 9), "HTTP/1.1 ");
}

TEST_F(Http2Begin, TakesAClientWithoutSettings) {
  Connect();
  EXPECT_EQ(Reply(std::string(kPreface) + client_.Get(1, "/")),
            "SETTINGS WINDOW_UPDATE(0,2147418112) HEADERS(1,200) DATA(1,5)+END");
}

TEST_F(Http2Begin, ClosesAfterThePrefaceAlone) {
  Connect();
  Send(kPreface);
  wire().End();
  Settle();
  EXPECT_TRUE(wire().closed());
}

using Http2Response = Http2Test;

TEST_F(Http2Response, WaitsForAWindow) {
  Open(Setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0));
  EXPECT_EQ(Reply(client_.Get(1, "/")), "HEADERS(1,200)");
  EXPECT_EQ(Reply(WindowUpdate(1, 2)), "DATA(1,2)");
  EXPECT_EQ(Reply(WindowUpdate(0, 100)), "");
  EXPECT_EQ(Reply(WindowUpdate(1, 100)), "DATA(1,3)+END");
  EXPECT_EQ(counters().waiting, 1);
}

TEST_F(Http2Response, OfAFileWaitsLikewise) {
  Open(Setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 3));
  EXPECT_EQ(Reply(client_.Get(1, "/file")), "HEADERS(1,200) DATA(1,3)");
  EXPECT_EQ(Reply(WindowUpdate(1, 100)), "DATA(1,4)+END");
}

TEST_F(Http2Response, IsResetWithoutAWindowForSendTimeout) {
  Open(Setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0));
  Send(client_.Get(1, "/"));
  Frames();
  Advance(29999);
  EXPECT_EQ(Frames(), "");
  Advance(1);
  EXPECT_EQ(Frames(), "RST_STREAM(1,1)");
  EXPECT_EQ(counters().waiting, 1);
}

TEST_F(Http2Response, OfOneStreamDoesNotHoldAnother) {
  Open(Setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 3));
  EXPECT_EQ(Reply(client_.Get(1, "/")), "HEADERS(1,200) DATA(1,3)");
  Send(client_.Get(3, "/"));
  EXPECT_EQ(Frames(), "HEADERS(3,200) DATA(3,3)");
  EXPECT_EQ(Reply(WindowUpdate(3, 100)), "DATA(3,2)+END");
  EXPECT_EQ(counters().writing, 1);
}

TEST_F(Http2Response, HasNoWindowBeforeItsRequest) {
  Open();
  EXPECT_EQ(Reply(WindowUpdate(3, 100)), "GOAWAY(0,1)");
}

TEST_F(Http2Response, WaitsForTheSocket) {
  Open();
  wire().set_room(5);
  EXPECT_EQ(Reply(client_.Get(1, "/")), "");
  EXPECT_EQ(counters().waiting, 1);  // all of it is framed
  wire().Take(SIZE_MAX);
  Settle();
  EXPECT_EQ(Frames(), "HEADERS(1,200) DATA(1,5)+END");
}

TEST_F(Http2Response, EndsWithTheConnectionThatTakesNothing) {
  Open();
  wire().set_room(5);
  Send(client_.Get(1, "/"));
  Advance(29999);
  EXPECT_FALSE(wire().closed());
  Advance(1);
  EXPECT_TRUE(wire().closed());
}

TEST_F(Http2Response, ThatBreaksOffIsReset) {
  Open();
  Send(client_.Get(1, "/proxy"));
  origin().Answer("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc");
  Settle();
  Frames();
  origin().Close();
  Settle();
  EXPECT_THAT(Frames(), testing::EndsWith("RST_STREAM(1,2)"));
  EXPECT_EQ(counters().waiting, 1);
}

using Http2Body = Http2Test;

TEST_F(Http2Body, ReachesTheUpstreamWhenItIsWhole) {
  Open();
  Send(Post(1, "/proxy") + Data(1, "01234"));
  EXPECT_EQ(origin().connections(), 0u);
  Send(Data(1, "56789", kEndStream));
  EXPECT_THAT(origin().received(), testing::EndsWith("\r\n\r\n0123456789"));
  origin().Answer(kAnswer);
  Settle();
  EXPECT_THAT(Frames(), testing::EndsWith("HEADERS(1,200) DATA(1,3)+END"));
}

TEST_F(Http2Body, ReachesTheUpstreamAsItComes) {
  Open();
  Send(Post(1, "/stream") + Data(1, "01234"));
  EXPECT_THAT(origin().received(), testing::EndsWith("\r\n\r\n01234"));
  Send(Data(1, "56789", kEndStream));
  EXPECT_THAT(origin().received(), testing::EndsWith("0123456789"));
}

// It fills the window before anybody takes it, and nothing comes then that we could answer.
TEST_F(Http2Body, GetsMoreWindowWhenWhatWasHeldGoesOn) {
  Open();
  constexpr size_t kFrame = 16384, kWindow = 4 * kFrame;
  Send(Post(1, "/asked", "100000"));
  for (size_t sent = 0; sent < kWindow; sent += kFrame) Send(Data(1, std::string(kFrame, 'x')));
  Frames();
  origin().Answer("HTTP/1.1 204 No Content\r\n\r\n");
  Settle();
  EXPECT_EQ(origin().connections(), 2u);
  EXPECT_EQ(Frames(), "WINDOW_UPDATE(1,32768) WINDOW_UPDATE(1,32768)");
}

TEST_F(Http2Body, ThatStopsComingIsTimedOut) {
  Open();
  Send(Post(1, "/proxy") + Data(1, "01234"));
  Frames();
  Advance(19999);
  EXPECT_EQ(Frames(), "");
  Advance(1);
  EXPECT_EQ(Frames(), "RST_STREAM(1,1)");
}

TEST_F(Http2Body, ShorterThanDeclaredIsRefused) {
  Open();
  EXPECT_THAT(Reply(Post(1, "/proxy") + Data(1, "01234", kEndStream)),
              testing::HasSubstr("HEADERS(1,400)"));
  EXPECT_EQ(origin().connections(), 0u);
}

TEST_F(Http2Body, LongerThanDeclaredIsRefused) {
  Open();
  EXPECT_THAT(Reply(Post(1, "/proxy", "4") + Data(1, "01234", kEndStream)),
              testing::HasSubstr("HEADERS(1,400)"));
  EXPECT_EQ(origin().connections(), 0u);
}

TEST_F(Http2Body, LargerThanAllowedIsRefused) {
  Open();
  EXPECT_THAT(Reply(client_.Head(1, "POST", "/small", kEndHeaders) + Data(1, "012345")),
              testing::HasSubstr("HEADERS(1,413)"));
}

TEST_F(Http2Body, ThatNobodyWantsIsCutOff) {
  Open();
  EXPECT_EQ(Reply(Post(1, "/", "1000000")), "HEADERS(1,200) DATA(1,5)+END RST_STREAM(1,0)");
  EXPECT_EQ(Reply(Data(1, "0123456789")), "");  // was on its way
  EXPECT_EQ(Reply(client_.Get(3, "/")), "HEADERS(3,200) DATA(3,5)+END");
}

TEST_F(Http2Body, ThatNobodyWantsMayEndIfItIsShort) {
  Open();
  EXPECT_EQ(Reply(Post(1, "/")), "HEADERS(1,200) DATA(1,5)+END");
  EXPECT_EQ(Reply(Data(1, "0123456789", kEndStream)), "");
  Advance(2000);
  EXPECT_EQ(Frames(), "");
}

TEST_F(Http2Body, ThatNobodyWantsAndThatDoesNotComeIsCutOffLater) {
  Open();
  EXPECT_EQ(Reply(Post(1, "/")), "HEADERS(1,200) DATA(1,5)+END");
  Advance(500);
  EXPECT_EQ(Reply(Post(3, "/")), "HEADERS(3,200) DATA(3,5)+END");
  Advance(499);
  EXPECT_EQ(Frames(), "");
  Advance(1);
  EXPECT_EQ(Frames(), "RST_STREAM(1,0)");
  EXPECT_EQ(Reply(Data(1, "0123456789", kEndStream)), "");  // was on its way
  Advance(500);
  EXPECT_EQ(Frames(), "RST_STREAM(3,0)");
  EXPECT_EQ(Reply(client_.Get(5, "/")), "HEADERS(5,200) DATA(5,5)+END");
}

TEST_F(Http2Body, MayEndWithTrailers) {
  Open();
  Send(client_.Head(1, "POST", "/proxy", kEndHeaders) + Data(1, "abc"));
  Send(Frame(NGHTTP2_HEADERS, kEndHeaders | kEndStream, 1, client_.Block({{"x-sum", "1"}})));
  EXPECT_THAT(origin().received(), testing::EndsWith("\r\n\r\nabc"));
}

using Http2Resets = Http2Test;

TEST_F(Http2Resets, EndTheExchange) {
  Open();
  Send(client_.Get(1, "/proxy"));
  EXPECT_TRUE(origin().asked());
  EXPECT_EQ(Reply(ResetStream(1, NGHTTP2_CANCEL)), "");
  EXPECT_FALSE(origin().asked());
  EXPECT_EQ(counters().waiting, 1);
}

TEST_F(Http2Resets, OfAHalfSentResponseEndItToo) {
  Open();
  Send(client_.Get(1, "/proxy"));
  origin().Answer("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc");
  Settle();
  Frames();
  EXPECT_EQ(Reply(ResetStream(1, NGHTTP2_CANCEL)), "");
  EXPECT_FALSE(origin().asked());
}

TEST_F(Http2Resets, LeaveAnExchangeThatIgnoresThem) {
  Open();
  Send(client_.Get(1, "/ignore"));
  EXPECT_EQ(Reply(ResetStream(1, NGHTTP2_CANCEL)), "");
  EXPECT_TRUE(origin().asked());
  EXPECT_EQ(counters().writing, 1);
  origin().Answer(kAnswer);
  Settle();
  EXPECT_EQ(Frames(), "");
  EXPECT_EQ(counters().waiting, 1);
}

TEST_F(Http2Resets, AnExchangeMayOutliveItsConnection) {
  Open();
  Send(client_.Get(1, "/ignore"));
  wire().End();
  Settle();
  EXPECT_TRUE(wire().closed());
  EXPECT_EQ(connections().size(), 1u);
  EXPECT_TRUE(origin().asked());
  origin().Answer(kAnswer);
  Settle();
  EXPECT_EQ(connections().size(), 0u);
}

TEST_F(Http2Resets, AMirrorHoldsAStreamUntilItsEnd) {
  Open();
  EXPECT_EQ(Reply(client_.Get(1, "/mirror")), "HEADERS(1,200) DATA(1,7)+END");
  EXPECT_EQ(counters().writing, 1);
  origin().Answer(kAnswer);
  Settle();
  EXPECT_EQ(counters().waiting, 1);
}

TEST_F(Http2Resets, NoMirrorHoldsAWorkerThatMustEnd) {
  Open();
  Send(client_.Get(1, "/mirror"));
  StopNow();
  EXPECT_EQ(connections().size(), 0u);
  EXPECT_FALSE(origin().asked());
}

class Http2Tunnel : public Http2Test {
 protected:
  void OpenTunnel() {
    Open();
    Send(Frame(NGHTTP2_HEADERS, kEndHeaders, 1,
               client_.Block({{":method", "CONNECT"},
                              {":protocol", "websocket"},
                              {":scheme", "http"},
                              {":authority", "a"},
                              {":path", "/chat"},
                              {"sec-websocket-version", "13"}})));
    origin().Answer("HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    Settle();
    ASSERT_EQ(Frames(), "HEADERS(1,200)");
  }
};

TEST_F(Http2Tunnel, GivesWhatComesWithTheEndOfItsStream) {
  OpenTunnel();
  EXPECT_EQ(Reply(Data(1, "first ") + Data(1, "last", kEndStream)), "DATA(1,0)+END");
  EXPECT_THAT(origin().received(), testing::EndsWith("\r\n\r\nfirst last"));
  EXPECT_FALSE(origin().asked());
}

TEST_F(Http2Tunnel, EndsWithAResetAtOnce) {
  OpenTunnel();
  EXPECT_EQ(Reply(ResetStream(1, NGHTTP2_CANCEL)), "");
  EXPECT_FALSE(origin().asked());
}

using Http2Leaving = Http2Test;

TEST_F(Http2Leaving, ServesWhatWasOnItsWayWhenTheClientWasTold) {
  Open();
  Send(client_.Get(1, "/proxy"));
  StopGently();
  Settle();
  EXPECT_EQ(Frames(), "GOAWAY(2147483647,0) PING");
  EXPECT_EQ(Reply(client_.Get(3, "/")), "HEADERS(3,200) DATA(3,5)+END");
  EXPECT_EQ(Reply(Frame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, std::string(8, '\0'))), "GOAWAY(3,0)");
  EXPECT_EQ(Reply(client_.Get(5, "/")), "");
  origin().Answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
  Settle();
  EXPECT_EQ(Frames(), "HEADERS(1,200) DATA(1,3)+END");
  EXPECT_TRUE(wire().write_shut());
}

TEST_F(Http2Leaving, WaitsNoLongerThanASecondForItsAnswer) {
  Open();
  Send(client_.Get(1, "/proxy"));
  StopGently();
  Settle();
  Frames();
  Advance(999);
  EXPECT_EQ(Frames(), "");
  Advance(1);
  EXPECT_EQ(Frames(), "GOAWAY(1,0)");
}

TEST_F(Http2Leaving, WaitsNoLongerForAClientThatAsksOn) {
  Open();
  Send(client_.Get(1, "/proxy"));
  StopGently();
  Settle();
  Frames();
  Advance(600);
  EXPECT_EQ(Reply(client_.Get(3, "/")), "HEADERS(3,200) DATA(3,5)+END");
  Advance(399);
  EXPECT_EQ(Frames(), "");
  Advance(1);
  EXPECT_EQ(Frames(), "GOAWAY(3,0)");
}

using Http2Limits = Http2Test;

TEST_F(Http2Limits, OneStreamMoreIsRefusedAndTheOthersGoOn) {
  Open();
  Send(client_.Get(1, "/proxy"));
  Send(client_.Get(3, "/proxy"));
  EXPECT_EQ(Reply(client_.Get(5, "/")), "RST_STREAM(5,7)");
  EXPECT_TRUE(origin().asked());
}

TEST_F(Http2Limits, OneStreamMoreIsRefusedBeforeThat) {
  Connect();
  Send(std::string(kPreface) + Frame(NGHTTP2_SETTINGS, 0, 0, ""));
  Send(client_.Get(1, "/proxy"));
  Send(client_.Get(3, "/proxy"));
  Frames();
  EXPECT_EQ(Reply(client_.Get(5, "/")), "RST_STREAM(5,7)");
  EXPECT_EQ(counters().writing, 1);
}

TEST_F(Http2Limits, PingsWithoutEndAreTooMany) {
  Open();
  std::string pings;
  for (int i = 0; i < 2000; ++i) pings += Frame(NGHTTP2_PING, 0, 0, "01234567");
  Send(pings);
  Settle();
  EXPECT_THAT(Frames(), testing::HasSubstr("GOAWAY(0,11)"));
}

TEST_F(Http2Limits, AHeadMustComeInItsTime) {
  Open();
  const std::string head = client_.Get(1, "/");
  Send(Frame(NGHTTP2_HEADERS, kEndStream, 1, head.substr(9, 2)));
  Advance(9999);
  EXPECT_EQ(counters().reading, 1);
  Advance(1);
  EXPECT_EQ(counters().reading, 0);
  EXPECT_EQ(Frames(), "RST_STREAM(1,1)");
}

}  // namespace
}  // namespace limpet::worker
