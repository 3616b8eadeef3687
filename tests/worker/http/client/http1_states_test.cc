// Http1Connection: what each event does in each state. A row is a test.
//
// States are seen from outside: how the connection is counted, whether it reads, whether it gives
// way to others, and how it ends. An exchange and its answer that waits for the client are both
// "serving" then; the rows tell them apart by what has been written.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "tests/worker/http/client/client_fixture.h"

namespace limpet::worker {
namespace {

constexpr std::string_view kServers = R"(
  client_header_timeout 10s;
  client_body_timeout 20s;
  send_timeout 30s;
  keepalive_timeout 40s;
  lingering_time 8s;
  lingering_timeout 3s;
  reset_timedout_connection on;
  upstream app { server unix:@ORIGIN@ max_fails=0; }
  server {
    listen 127.0.0.1:80;
    location / { return 200 "hello"; }
    location /kept { keepalive_min_timeout 5s; return 200 "kept"; }
    location /drop { return 444; }
    location /proxy { proxy_pass http://app; }
    location /stream { proxy_pass http://app; proxy_request_buffering off; }
    location /mirror { mirror /copy; alias @FILES@/page; }
    location /copy { internal; proxy_pass http://app/; }
    location /ignore { proxy_pass http://app; proxy_ignore_client_abort on; }
  }
)";

enum class Seen { kKept, kIdle, kHead, kServing, kDrain, kLinger, kClosed };

std::string_view NameOf(Seen seen) {
  constexpr std::string_view kNames[] = {"Kept",  "Idle",   "Head",  "Serving",
                                         "Drain", "Linger", "Closed"};
  return kNames[static_cast<size_t>(seen)];
}
void PrintTo(Seen seen, std::ostream* out) { *out << NameOf(seen); }

// How a connection comes to be in a state.
enum class From {
  kNew,       // idle, and nothing has ever come
  kIdle,      // after a request
  kKept,      // likewise, and its place is its own for a while
  kHead,      // half of a head has come
  kExchange,  // the origin has been asked
  kBody,      // likewise, and the body is passed on as it comes
  kHalf,      // the origin has answered with a part of its body
  kIgnore,    // as kExchange, with proxy_ignore_client_abort
  kHeld,      // all of the answer is out, and a mirror has its copy still
  kAnswered,  // the client does not take the answer
  kEarly,     // likewise, and the body has not come
  kLast,      // as kAnswered, of the connection's last request
  kDrain,     // answered before the body has come
  kLinger,    // likewise, for the last time
};
constexpr std::string_view kFromNames[] = {"New",   "Idle", "Kept",   "Head",  "Exchange",
                                           "Body",  "Half", "Ignore", "Held",  "Answered",
                                           "Early", "Last", "Drain",  "Linger"};

enum class Event {
  kNothing,  // readable, but no bytes
  kByte,     // one that is no whole request, nor the end of a body
  kEmptyLine,
  kRequest,  // a whole one; in a state with a body: what is left of that, and a request
  kTwo,      // two of them at once
  kGarbage,  // no HTTP
  kEnd,
  kReset,
  kWritable,  // the client takes all there is
  kShort,     // it takes one byte
  kWriteError,
  kPlace,        // another connection needs the place
  kUnreadPlace,  // likewise, while a request is in the socket
  kStop,         // gently
  kStopNow,
  kFinish,  // the origin ends its answer
  kBreak,   // the origin breaks off
};
constexpr std::string_view kEventNames[] = {
    "Nothing",     "Byte",  "EmptyLine", "Request", "Two",        "Garbage",
    "End",         "Reset", "Writable",  "Short",   "WriteError", "Place",
    "UnreadPlace", "Stop",  "StopNow",   "Finish",  "Break"};

struct Row {
  From from;
  Event event;
  Seen next;
  const char* answers = "";  // the status codes written because of the event
  uint64_t left_ms = 0;      // after it, until the connection leaves the state; 0: not of its own
};

std::string NameOfRow(const testing::TestParamInfo<Row>& row) {
  return fmt::format("{}_{}", kFromNames[static_cast<size_t>(row.param.from)],
                     kEventNames[static_cast<size_t>(row.param.event)]);
}

std::string StatusesIn(std::string_view written) {
  std::string statuses;
  constexpr std::string_view kStart = "HTTP/1.1 ";
  for (size_t at = 0; (at = written.find(kStart, at)) != written.npos; at += kStart.size()) {
    if (!statuses.empty()) statuses += ' ';
    statuses += written.substr(at + kStart.size(), 3);
  }
  return statuses;
}

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
constexpr uint64_t kBeforeMs = 1000;  // in the state, before the event comes

class Http1States : public ClientTest {
 protected:
  Http1States() : ClientTest(kServers) {}

  static std::string Get(std::string_view path, std::string_view more = "") {
    return fmt::format("GET {} HTTP/1.1\r\nHost: a\r\n{}\r\n", path, more);
  }
  static std::string Post(std::string_view path, std::string_view more = "") {
    return fmt::format("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n{}\r\n01", path, more);
  }

  void Reach(From from) {
    Connect();
    switch (from) {
      case From::kNew:
        break;
      case From::kIdle:
        Send(kGet);
        break;
      case From::kKept:
        Send(Get("/kept"));
        break;
      case From::kHead:
        Send("GET / HT");
        break;
      case From::kExchange:
        Send(Get("/proxy"));
        break;
      case From::kBody:
        Send(Post("/stream"));
        break;
      case From::kHalf:
        Send(Get("/proxy"));
        origin().Answer("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc");
        Settle();
        break;
      case From::kIgnore:
        Send(Get("/ignore"));
        break;
      case From::kHeld:
        Send(Get("/mirror"));
        break;
      case From::kAnswered:
      case From::kLast:
        wire().set_room(20);
        Send(from == From::kLast ? Get("/", "Connection: close\r\n") : kGet);
        break;
      case From::kEarly:
        wire().set_room(20);
        Send(Post("/stream"));
        origin().Answer(kAnswer);
        Settle();
        break;
      case From::kDrain:
        Send(Post("/"));
        break;
      case From::kLinger:
        Send(Post("/", "Connection: close\r\n"));
        break;
    }
    Advance(kBeforeMs);
    Written();
  }

  static std::string_view RestOfBody(From from) {
    const bool has_body = from == From::kBody || from == From::kEarly || from == From::kDrain ||
                          from == From::kLinger;
    return has_body ? "23456789" : from == From::kHead ? "TP/1.1\r\nHost: a\r\n\r\n" : "";
  }

  void Happen(From from, Event event) {
    switch (event) {
      case Event::kNothing:
        return wire().Wake();
      case Event::kByte:
        return wire().Give(from == From::kHead ? "T" : "G");
      case Event::kEmptyLine:
        return wire().Give("\r\n");
      case Event::kRequest:
        return wire().Give(std::string(RestOfBody(from)) +
                           std::string(from == From::kHead ? "" : kGet));
      case Event::kTwo:
        return wire().Give(std::string(RestOfBody(from)) + std::string(kGet) + std::string(kGet));
      case Event::kGarbage:
        return wire().Give("\x16\x03\x01\r\n\r\n");
      case Event::kEnd:
        return wire().End();
      case Event::kReset:
        return wire().Reset();
      case Event::kWritable:
        return wire().Take(SIZE_MAX);
      case Event::kShort:
        return wire().Take(1);
      case Event::kWriteError:
        return wire().BreakWrites();
      case Event::kPlace:
        return NeedPlace();
      case Event::kUnreadPlace:
        wire().Give(kGet);
        return NeedPlace();
      case Event::kStop:
        return StopGently();
      case Event::kStopNow:
        return StopNow();
      case Event::kFinish:
        if (from == From::kHalf) return origin().Answer("def");
        return origin().Answer(kAnswer);
      case Event::kBreak:
        return origin().Close();
    }
  }

  Seen Now() {
    EXPECT_EQ(connections().size(), wire().closed() ? 0u : 1u);
    if (wire().closed()) return Seen::kClosed;
    const auto& count = counters();
    EXPECT_LE(count.waiting + count.reading + count.writing, 1);
    if (count.reading == 1) return Seen::kHead;
    if (count.writing == 1) return Seen::kServing;
    if (count.waiting == 1) return wire().gives_way() ? Seen::kIdle : Seen::kKept;
    return wire().write_shut() ? Seen::kLinger : Seen::kDrain;
  }

  // Each state's own column: whether it reads, and whether others may have its place.
  void CheckColumns(Seen seen) {
    const bool gives_way = seen == Seen::kIdle || seen == Seen::kLinger;
    EXPECT_EQ(wire().gives_way(), gives_way);
    if (seen == Seen::kServing) return;  // it reads while the body is wanted
    EXPECT_EQ(wire().reads(), seen != Seen::kClosed);
  }

  void CheckDeadline(uint64_t left_ms) {
    const Seen before = Now();
    if (left_ms == 0) return;
    Advance(left_ms - 1);
    EXPECT_EQ(Now(), before) << "too early";
    Advance(1);
    EXPECT_NE(Now(), before) << "too late";
  }
};

class Http1Rows : public Http1States, public testing::WithParamInterface<Row> {};

TEST_P(Http1Rows, Go) {
  const Row& row = GetParam();
  Reach(row.from);
  Happen(row.from, row.event);
  Settle();
  EXPECT_EQ(Now(), row.next);
  EXPECT_EQ(StatusesIn(Written()), row.answers);
  CheckColumns(row.next);
  CheckDeadline(row.left_ms);
}

// Where a column says nothing of time, the exchange's deadlines run, not the connection's.
INSTANTIATE_TEST_SUITE_P(
    New, Http1Rows,
    testing::Values(Row{From::kNew, Event::kNothing, Seen::kIdle, "", 9000},
                    Row{From::kNew, Event::kByte, Seen::kHead, "", 10000},
                    Row{From::kNew, Event::kEmptyLine, Seen::kIdle, "", 9000},
                    Row{From::kNew, Event::kRequest, Seen::kIdle, "200", 40000},
                    Row{From::kNew, Event::kTwo, Seen::kIdle, "200 200", 40000},
                    Row{From::kNew, Event::kGarbage, Seen::kLinger, "400", 3000},
                    Row{From::kNew, Event::kEnd, Seen::kClosed},
                    Row{From::kNew, Event::kReset, Seen::kClosed},
                    Row{From::kNew, Event::kPlace, Seen::kClosed},
                    Row{From::kNew, Event::kUnreadPlace, Seen::kIdle, "200", 40000},
                    Row{From::kNew, Event::kStop, Seen::kIdle, "", 9000},  // its request may come
                    Row{From::kNew, Event::kStopNow, Seen::kClosed}),
    NameOfRow);
// Impossible without a response: Writable, Short, WriteError, Finish, Break; also in Idle, Kept,
// Head, Drain and Linger.

INSTANTIATE_TEST_SUITE_P(
    Idle, Http1Rows,
    testing::Values(Row{From::kIdle, Event::kNothing, Seen::kIdle, "", 39000},
                    Row{From::kIdle, Event::kByte, Seen::kHead, "", 10000},
                    Row{From::kIdle, Event::kEmptyLine, Seen::kIdle, "", 39000},
                    Row{From::kIdle, Event::kRequest, Seen::kIdle, "200", 40000},
                    Row{From::kIdle, Event::kTwo, Seen::kIdle, "200 200", 40000},
                    Row{From::kIdle, Event::kGarbage, Seen::kLinger, "400", 3000},
                    Row{From::kIdle, Event::kEnd, Seen::kClosed},
                    Row{From::kIdle, Event::kReset, Seen::kClosed},
                    Row{From::kIdle, Event::kPlace, Seen::kClosed},
                    Row{From::kIdle, Event::kUnreadPlace, Seen::kIdle, "200", 40000},
                    Row{From::kIdle, Event::kStop, Seen::kIdle, "", 1},  // a second in all
                    Row{From::kIdle, Event::kStopNow, Seen::kClosed}),
    NameOfRow);

INSTANTIATE_TEST_SUITE_P(
    Kept, Http1Rows,
    testing::Values(Row{From::kKept, Event::kNothing, Seen::kKept, "", 4000},
                    Row{From::kKept, Event::kByte, Seen::kHead, "", 10000},
                    Row{From::kKept, Event::kRequest, Seen::kIdle, "200", 40000},
                    Row{From::kKept, Event::kGarbage, Seen::kLinger, "400", 3000},
                    Row{From::kKept, Event::kEnd, Seen::kClosed},
                    Row{From::kKept, Event::kReset, Seen::kClosed},
                    Row{From::kKept, Event::kPlace, Seen::kKept, "", 4000},
                    Row{From::kKept, Event::kUnreadPlace, Seen::kIdle, "200", 40000},
                    Row{From::kKept, Event::kStop, Seen::kKept},
                    Row{From::kKept, Event::kStopNow, Seen::kClosed}),
    NameOfRow);

INSTANTIATE_TEST_SUITE_P(
    Head, Http1Rows,
    testing::Values(Row{From::kHead, Event::kNothing, Seen::kHead, "", 9000},
                    Row{From::kHead, Event::kByte, Seen::kHead, "", 9000},  // all of it in 10 s
                    Row{From::kHead, Event::kRequest, Seen::kIdle, "200", 40000},
                    Row{From::kHead, Event::kTwo, Seen::kIdle, "200 200 200", 40000},
                    Row{From::kHead, Event::kGarbage, Seen::kLinger, "400", 3000},
                    Row{From::kHead, Event::kEnd, Seen::kClosed},
                    Row{From::kHead, Event::kReset, Seen::kClosed},
                    Row{From::kHead, Event::kPlace, Seen::kHead, "", 9000},
                    Row{From::kHead, Event::kStop, Seen::kHead, "", 9000},
                    Row{From::kHead, Event::kStopNow, Seen::kClosed}),
    NameOfRow);

INSTANTIATE_TEST_SUITE_P(
    Exchange, Http1Rows,
    testing::Values(Row{From::kExchange, Event::kByte, Seen::kServing},
                    Row{From::kExchange, Event::kRequest, Seen::kServing},  // it waits for its turn
                    Row{From::kExchange, Event::kEnd, Seen::kClosed},
                    Row{From::kExchange, Event::kReset, Seen::kClosed},
                    Row{From::kExchange, Event::kPlace, Seen::kServing},
                    Row{From::kExchange, Event::kStop, Seen::kServing},
                    Row{From::kExchange, Event::kStopNow, Seen::kClosed},
                    Row{From::kExchange, Event::kFinish, Seen::kIdle, "200", 40000},
                    Row{From::kExchange, Event::kBreak, Seen::kIdle, "502", 40000},
                    Row{From::kIgnore, Event::kEnd, Seen::kServing},
                    Row{From::kIgnore, Event::kReset, Seen::kServing},
                    Row{From::kIgnore, Event::kStopNow, Seen::kClosed},
                    Row{From::kIgnore, Event::kFinish, Seen::kIdle, "200", 40000},
                    Row{From::kHeld, Event::kRequest, Seen::kServing},
                    Row{From::kHeld, Event::kEnd, Seen::kServing},  // the copy is whole
                    Row{From::kHeld, Event::kStopNow, Seen::kClosed},
                    Row{From::kHeld, Event::kFinish, Seen::kIdle, "", 40000},
                    Row{From::kHalf, Event::kEnd, Seen::kClosed},
                    Row{From::kHalf, Event::kFinish, Seen::kIdle, "", 40000},
                    Row{From::kHalf, Event::kBreak, Seen::kClosed},
                    Row{From::kHalf, Event::kStopNow, Seen::kClosed},
                    Row{From::kBody, Event::kNothing, Seen::kServing},
                    Row{From::kBody, Event::kByte, Seen::kServing},
                    Row{From::kBody, Event::kRequest, Seen::kServing},
                    Row{From::kBody, Event::kEnd, Seen::kClosed},
                    Row{From::kBody, Event::kReset, Seen::kClosed},
                    Row{From::kBody, Event::kStop, Seen::kServing},
                    Row{From::kBody, Event::kStopNow, Seen::kClosed},
                    Row{From::kBody, Event::kFinish, Seen::kDrain, "200", 3000},
                    Row{From::kBody, Event::kBreak, Seen::kDrain, "502", 3000}),
    NameOfRow);
// Impossible in an exchange that wants no body: Nothing; and Garbage is as good as Byte.

INSTANTIATE_TEST_SUITE_P(
    Answered, Http1Rows,
    testing::Values(Row{From::kAnswered, Event::kByte, Seen::kServing, "", 29000},
                    Row{From::kAnswered, Event::kShort, Seen::kServing, "", 30000},
                    Row{From::kAnswered, Event::kWritable, Seen::kIdle, "", 40000},
                    Row{From::kAnswered, Event::kWriteError, Seen::kClosed},
                    Row{From::kAnswered, Event::kEnd, Seen::kClosed},
                    Row{From::kAnswered, Event::kReset, Seen::kClosed},
                    Row{From::kAnswered, Event::kPlace, Seen::kServing, "", 29000},
                    Row{From::kAnswered, Event::kStop, Seen::kServing, "", 29000},
                    Row{From::kAnswered, Event::kStopNow, Seen::kClosed},
                    Row{From::kEarly, Event::kByte, Seen::kServing, "", 29000},
                    Row{From::kEarly, Event::kWritable, Seen::kDrain, "", 3000},
                    Row{From::kEarly, Event::kEnd, Seen::kClosed},
                    Row{From::kEarly, Event::kReset, Seen::kClosed},
                    Row{From::kEarly, Event::kStopNow, Seen::kClosed},
                    Row{From::kLast, Event::kWritable, Seen::kClosed},  // nothing is unread
                    Row{From::kLast, Event::kShort, Seen::kServing, "", 30000}),
    NameOfRow);

INSTANTIATE_TEST_SUITE_P(
    Drain, Http1Rows,
    testing::Values(Row{From::kDrain, Event::kNothing, Seen::kDrain, "", 2000},
                    Row{From::kDrain, Event::kByte, Seen::kDrain, "", 3000},
                    Row{From::kDrain, Event::kRequest, Seen::kIdle, "200", 40000},
                    Row{From::kDrain, Event::kTwo, Seen::kIdle, "200 200", 40000},
                    Row{From::kDrain, Event::kEnd, Seen::kClosed},
                    Row{From::kDrain, Event::kReset, Seen::kClosed},
                    Row{From::kDrain, Event::kPlace, Seen::kDrain, "", 2000},
                    Row{From::kDrain, Event::kStop, Seen::kDrain, "", 2000},
                    Row{From::kDrain, Event::kStopNow, Seen::kClosed}),
    NameOfRow);

INSTANTIATE_TEST_SUITE_P(
    Linger, Http1Rows,
    testing::Values(Row{From::kLinger, Event::kNothing, Seen::kLinger, "", 2000},
                    Row{From::kLinger, Event::kByte, Seen::kLinger, "", 3000},
                    Row{From::kLinger, Event::kRequest, Seen::kLinger, "", 3000},
                    Row{From::kLinger, Event::kEnd, Seen::kClosed},
                    Row{From::kLinger, Event::kReset, Seen::kClosed},
                    Row{From::kLinger, Event::kPlace, Seen::kClosed},
                    Row{From::kLinger, Event::kUnreadPlace, Seen::kClosed},
                    Row{From::kLinger, Event::kStop, Seen::kLinger, "", 2000},
                    Row{From::kLinger, Event::kStopNow, Seen::kClosed}),
    NameOfRow);
// A closed connection hears nothing: its transport has let go of it.

}  // namespace
}  // namespace limpet::worker
