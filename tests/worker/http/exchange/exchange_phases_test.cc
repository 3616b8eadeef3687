// Exchange: what each event does in each phase.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/worker/http/exchange/exchange_fixture.h"
#include "worker/http/exchange/response_writer.h"

namespace limpet::worker {
namespace {

constexpr std::string_view kServers = R"(
  upstream app { server unix:@ORIGIN@ max_fails=0; }
  server {
    listen 127.0.0.1:80;
    location / { return 200 "hello"; }
    location /redirect { return 301 /elsewhere; }
    location /proxy { proxy_pass http://app; }
    location /ignore { proxy_pass http://app; proxy_ignore_client_abort on; }
    location /auth { auth_request /copy; alias @FILES@/page; }
    location /mirror { mirror /copy; alias @FILES@/page; }
    location /copy { internal; proxy_pass http://app/; }
    location /zipped { gzip on; gzip_types *; gzip_min_length 1; alias @FILES@/page; }
  }
)";

constexpr std::string_view kWholeAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
constexpr std::string_view kHalfAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc";

// How an exchange comes to be in a phase.
enum class From {
  kDelayed,   // auth_request has asked
  kBody,      // likewise: a mirror waits for the body
  kProxying,  // the origin has been asked
  kIgnore,    // likewise, with proxy_ignore_client_abort
  kHalf,      // half of its answer has come
  kReplying,  // a filter holds something back
  kHeld,      // done, and a mirror has its copy still
  kDone,
};
constexpr std::string_view kFromNames[] = {"Delayed", "Body",     "Proxying", "Ignore",
                                           "Half",    "Replying", "Held",     "Done"};

enum class Event {
  kAnswer,   // the origin's, or the rest of it
  kRefusal,  // the origin's: 403
  kBreak,    // the origin goes
  kClientGone,
  kBodyEnd,
  kBodyError,
  kDrained,  // the client has taken all
  kAbandon,
  kAbandonAfterFlush,
  kRelease,
  kReset,
};
constexpr std::string_view kEventNames[] = {
    "Answer",  "Refusal",           "Break",   "ClientGone", "BodyEnd", "BodyError", "Drained",
    "Abandon", "AbandonAfterFlush", "Release", "Reset"};

enum class End { kNone, kFinished, kBroken, kAborted };

struct Row {
  From from;
  Event event;
  Phase next;
  End end = End::kNone;  // what the stream is told
  int status = 0;        // of the response, or for the log
};

std::string NameOfRow(const testing::TestParamInfo<Row>& row) {
  return fmt::format("{}_{}", kFromNames[static_cast<size_t>(row.param.from)],
                     kEventNames[static_cast<size_t>(row.param.event)]);
}

std::string Get(std::string_view path) {
  return fmt::format("GET {} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n", path);
}

class ExchangeRows : public ExchangeTest, public testing::WithParamInterface<Row> {
 protected:
  ExchangeRows() : ExchangeTest(kServers) {}

  void Reach(From from) {
    switch (from) {
      case From::kDelayed:
        return Start(Get("/auth"));
      case From::kBody:
        return Start("POST /mirror HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
      case From::kProxying:
        return Start(Get("/proxy"));
      case From::kIgnore:
        return Start(Get("/ignore"));
      case From::kHalf:
        Start(Get("/proxy"));
        origin().Answer(kHalfAnswer);
        return Settle();
      case From::kReplying:
        stream_.unsent = 1 << 20;
        return Start(Get("/zipped"));
      case From::kHeld:
        return Start(Get("/mirror"));
      case From::kDone:
        return Start(Get("/"));
    }
  }

  static Phase PhaseOf(From from) {
    switch (from) {
      case From::kDelayed:
      case From::kBody:
        return Phase::kDelayed;
      case From::kProxying:
      case From::kIgnore:
      case From::kHalf:
        return Phase::kProxying;
      case From::kReplying:
        return Phase::kReplying;
      case From::kHeld:
      case From::kDone:
        return Phase::kDone;
    }
    return Phase::kIdle;
  }

  void Happen(From from, Event event) {
    switch (event) {
      case Event::kAnswer:
        return origin().Answer(from == From::kHalf ? "def" : kWholeAnswer);
      case Event::kRefusal:
        return origin().Answer("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
      case Event::kBreak:
        return origin().Close();
      case Event::kClientGone:
        return exchange_.OnClientGone();
      case Event::kBodyEnd:
        Give("01234");
        return exchange_.OnBodyEnd();
      case Event::kBodyError:
        return exchange_.OnBodyError(400);
      case Event::kDrained:
        stream_.unsent = 0;
        return exchange_.OnOutputDrained();
      case Event::kAbandon:
        return exchange_.Abandon(408);
      case Event::kAbandonAfterFlush:
        return exchange_.AbandonAfterFlush();
      case Event::kRelease:
        return exchange_.Release();
      case Event::kReset:
        return exchange_.Reset();
    }
  }

  End Told() const {
    EXPECT_LE(stream_.finished + stream_.broken + stream_.aborted, 1);
    if (stream_.finished > 0) return End::kFinished;
    if (stream_.broken > 0) return End::kBroken;
    return stream_.aborted > 0 ? End::kAborted : End::kNone;
  }
};

TEST_P(ExchangeRows, Go) {
  const Row& row = GetParam();
  Reach(row.from);
  ASSERT_EQ(exchange_.phase(), PhaseOf(row.from));
  Happen(row.from, row.event);
  Settle();
  EXPECT_EQ(exchange_.phase(), row.next);
  EXPECT_EQ(Told(), row.end);
  EXPECT_EQ(exchange_.response().status, row.status);
  if (row.next == Phase::kIdle) {
    EXPECT_TRUE(exchange_.quiet());
    EXPECT_FALSE(origin().connections() > 0 && origin().asked());
  }
}

#define ROWS(From, ...) \
  INSTANTIATE_TEST_SUITE_P(From, ExchangeRows, testing::Values(__VA_ARGS__), NameOfRow)

ROWS(Delayed,  //
     Row{From::kDelayed, Event::kAnswer, Phase::kDone, End::kFinished, 200},
     Row{From::kDelayed, Event::kRefusal, Phase::kDone, End::kFinished, 403},
     Row{From::kDelayed, Event::kBreak, Phase::kDone, End::kFinished, 500},
     Row{From::kDelayed, Event::kClientGone, Phase::kDone, End::kAborted, 499},
     Row{From::kDelayed, Event::kAbandon, Phase::kDone, End::kAborted, 408},
     Row{From::kDelayed, Event::kReset, Phase::kIdle},
     Row{From::kBody, Event::kBodyEnd, Phase::kDone, End::kNone, 405},
     Row{From::kBody, Event::kBodyError, Phase::kDone, End::kFinished, 400},
     Row{From::kBody, Event::kClientGone, Phase::kDone, End::kAborted, 499},
     Row{From::kBody, Event::kReset, Phase::kIdle});

ROWS(Proxying,  //
     Row{From::kProxying, Event::kAnswer, Phase::kDone, End::kFinished, 200},
     Row{From::kProxying, Event::kRefusal, Phase::kDone, End::kFinished, 403},
     Row{From::kProxying, Event::kBreak, Phase::kDone, End::kFinished, 502},
     Row{From::kProxying, Event::kClientGone, Phase::kDone, End::kAborted, 499},
     Row{From::kProxying, Event::kBodyError, Phase::kDone, End::kFinished, 400},
     Row{From::kProxying, Event::kDrained, Phase::kProxying},
     Row{From::kProxying, Event::kAbandon, Phase::kDone, End::kAborted, 408},
     Row{From::kProxying, Event::kReset, Phase::kIdle},
     Row{From::kIgnore, Event::kClientGone, Phase::kProxying},
     Row{From::kIgnore, Event::kAnswer, Phase::kDone, End::kFinished, 200},
     Row{From::kHalf, Event::kAnswer, Phase::kDone, End::kFinished, 200},
     Row{From::kHalf, Event::kBreak, Phase::kDone, End::kBroken, 200},
     Row{From::kHalf, Event::kClientGone, Phase::kDone, End::kAborted, 200},
     Row{From::kHalf, Event::kBodyError, Phase::kDone, End::kAborted, 200},
     Row{From::kHalf, Event::kAbandon, Phase::kDone, End::kAborted, 200},
     Row{From::kHalf, Event::kReset, Phase::kIdle});

ROWS(Replying,  //
     Row{From::kReplying, Event::kDrained, Phase::kDone, End::kFinished, 200},
     Row{From::kReplying, Event::kClientGone, Phase::kDone, End::kAborted, 200},
     Row{From::kReplying, Event::kAbandon, Phase::kDone, End::kAborted, 200},
     Row{From::kReplying, Event::kAbandonAfterFlush, Phase::kReplying, End::kNone, 200},
     Row{From::kReplying, Event::kReset, Phase::kIdle});

ROWS(Done,  //
     Row{From::kDone, Event::kClientGone, Phase::kDone, End::kFinished, 200},
     Row{From::kDone, Event::kAbandon, Phase::kDone, End::kFinished, 200},
     Row{From::kDone, Event::kAbandonAfterFlush, Phase::kDone, End::kFinished, 200},
     Row{From::kDone, Event::kDrained, Phase::kDone, End::kFinished, 200},
     Row{From::kDone, Event::kReset, Phase::kIdle, End::kFinished},
     Row{From::kHeld, Event::kAnswer, Phase::kDone, End::kFinished, 200},
     Row{From::kHeld, Event::kBreak, Phase::kDone, End::kFinished, 200},
     Row{From::kHeld, Event::kClientGone, Phase::kDone, End::kNone, 200},
     Row{From::kHeld, Event::kAbandon, Phase::kDone, End::kAborted, 200},
     Row{From::kHeld, Event::kRelease, Phase::kDone, End::kFinished, 200},
     Row{From::kHeld, Event::kReset, Phase::kIdle});
// Impossible: what is not the origin's where none is asked, BodyEnd where no body is wanted,
// Release where nothing holds.

}  // namespace
}  // namespace limpet::worker
