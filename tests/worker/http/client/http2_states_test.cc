// Http2Connection: what each event does in each state. A row is a test. States are seen from
// outside: how the connection is counted, and whether it gives way to others.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/worker/http/client/http2_fixture.h"

namespace limpet::worker {
namespace {

using http2::Data;
using http2::Frame;
using http2::kEndHeaders;
using http2::kEndStream;
using http2::ResetStream;
using http2::WindowUpdate;

enum class Seen { kIdle, kHead, kBusy, kLinger, kClosed };
void PrintTo(Seen seen, std::ostream* out) {
  constexpr std::string_view kNames[] = {"Idle", "Head", "Busy", "Linger", "Closed"};
  *out << kNames[static_cast<size_t>(seen)];
}

enum class From { kNew, kIdle, kHead, kBusy, kBody, kLeaving, kLinger };
constexpr std::string_view kFromNames[] = {"New",  "Idle",    "Head",  "Busy",
                                           "Body", "Leaving", "Linger"};

enum class Event {
  kNothing,
  kHalfFrame,
  kSettings,
  kBadSettings,
  kPing,
  kUnknown,
  kPriority,
  kWindow,
  kWindowOfZero,
  kRequest,
  kHalfHead,
  kRestOfHead,  // CONTINUATION
  kBadHead,     // no HPACK
  kOldHead,     // of a stream that is over
  kEvenHead,    // of a stream that only a server may open
  kData,        // of stream 1, its end
  kDataOfNone,  // of stream 0
  kReset,       // of stream 1
  kGoaway,
  kEnd,
  kError,
  kWriteError,
  kPlace,
  kUnreadPlace,
  kStop,
  kStopNow,
  kFinish,  // the origin answers
  kBreak,   // the origin goes
};
constexpr std::string_view kEventNames[] = {
    "Nothing",    "HalfFrame",    "Settings",    "BadSettings", "Ping",       "Unknown", "Priority",
    "Window",     "WindowOfZero", "Request",     "HalfHead",    "RestOfHead", "BadHead", "OldHead",
    "EvenHead",   "Data",         "DataOfNone",  "Reset",       "Goaway",     "End",     "Error",
    "WriteError", "Place",        "UnreadPlace", "Stop",        "StopNow",    "Finish",  "Break"};

struct Row {
  From from;
  Event event;
  Seen next;
  const char* frames = "";  // what the server says to it
  uint64_t left_ms = 0;     // after it, until the connection leaves the state; 0: not of its own
};

std::string NameOfRow(const testing::TestParamInfo<Row>& row) {
  return fmt::format("{}_{}", kFromNames[static_cast<size_t>(row.param.from)],
                     kEventNames[static_cast<size_t>(row.param.event)]);
}

constexpr uint64_t kBeforeMs = 1000;  // in the state, before the event comes

class Http2States : public Http2Test {
 protected:
  // The head of stream 3 in two frames.
  std::string HalfHead() {
    const std::string whole = client_.Get(3, "/");
    rest_ = whole.substr(9 + 2);
    return Frame(NGHTTP2_HEADERS, kEndStream, 3, whole.substr(9, 2));
  }

  void Reach(From from) {
    Open();
    switch (from) {
      case From::kNew:
        break;
      case From::kIdle:
        Send(client_.Get(1, "/"));
        break;
      case From::kHead:
        Send(HalfHead());
        break;
      case From::kBusy:
        Send(client_.Get(1, "/proxy"));
        break;
      case From::kBody:
        Send(Post(1, "/stream") + Data(1, "01"));
        break;
      case From::kLeaving:
        Send(client_.Get(1, "/proxy"));
        StopGently();
        break;
      case From::kLinger:
        Send(WindowUpdate(0, 0));
        break;
    }
    Advance(kBeforeMs);
    Frames();
  }

  void Happen(Event event) {
    switch (event) {
      case Event::kNothing:
        return wire().Wake();
      case Event::kHalfFrame:
        return wire().Give(Frame(NGHTTP2_PING, 0, 0, "01234567").substr(0, 12));
      case Event::kSettings:
        return wire().Give(Frame(NGHTTP2_SETTINGS, 0, 0, ""));
      case Event::kBadSettings:
        return wire().Give(Frame(NGHTTP2_SETTINGS, 0, 0, "odd"));
      case Event::kPing:
        return wire().Give(Frame(NGHTTP2_PING, 0, 0, "01234567"));
      case Event::kUnknown:
        return wire().Give(Frame(0x20, 0, 0, "?"));
      case Event::kPriority:
        return wire().Give(Frame(NGHTTP2_PRIORITY, 0, 5, http2::Number32(0) + '\x10'));
      case Event::kWindow:
        return wire().Give(WindowUpdate(0, 100));
      case Event::kWindowOfZero:
        return wire().Give(WindowUpdate(0, 0));
      case Event::kRequest:
        return wire().Give(client_.Get(3, "/"));
      case Event::kHalfHead:
        return wire().Give(HalfHead());
      case Event::kRestOfHead:
        return wire().Give(Frame(NGHTTP2_CONTINUATION, kEndHeaders, 3, rest_));
      case Event::kBadHead:
        return wire().Give(
            Frame(NGHTTP2_HEADERS, kEndHeaders | kEndStream, 3, "\xff\xff\xff\xff\xff\xff"));
      case Event::kOldHead:
        return wire().Give(client_.Get(1, "/"));
      case Event::kEvenHead:
        return wire().Give(client_.Get(2, "/"));
      case Event::kData:
        return wire().Give(Data(1, "23456789", kEndStream));
      case Event::kDataOfNone:
        return wire().Give(Data(0, "x"));
      case Event::kReset:
        return wire().Give(ResetStream(1, NGHTTP2_CANCEL));
      case Event::kGoaway:
        return wire().Give(Frame(NGHTTP2_GOAWAY, 0, 0, http2::Number32(0) + http2::Number32(0)));
      case Event::kEnd:
        return wire().End();
      case Event::kError:
        return wire().Reset();
      case Event::kWriteError:
        wire().BreakWrites();
        return wire().Give(Frame(NGHTTP2_PING, 0, 0, "01234567"));
      case Event::kPlace:
        return NeedPlace();
      case Event::kUnreadPlace:
        wire().Give(client_.Get(3, "/"));
        return NeedPlace();
      case Event::kStop:
        return StopGently();
      case Event::kStopNow:
        return StopNow();
      case Event::kFinish:
        return origin().Answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
      case Event::kBreak:
        return origin().Close();
    }
  }

  Seen Now() {
    const auto& count = counters();
    EXPECT_LE(count.waiting + count.reading + count.writing, 1);
    if (wire().closed()) return Seen::kClosed;
    if (count.reading == 1) return Seen::kHead;
    if (count.writing == 1) return Seen::kBusy;
    return count.waiting == 1 ? Seen::kIdle : Seen::kLinger;
  }

  void CheckColumns(Seen seen) {
    EXPECT_EQ(wire().gives_way(), seen == Seen::kIdle || seen == Seen::kLinger);
    EXPECT_EQ(wire().reads(), seen != Seen::kClosed);
    if (seen == Seen::kClosed) return;
    EXPECT_EQ(wire().write_shut(), seen == Seen::kLinger);
  }

  void CheckDeadline(uint64_t left_ms) {
    if (left_ms == 0) return;
    const Seen before = Now();
    Advance(left_ms - 1);
    EXPECT_EQ(Now(), before) << "too early";
    Advance(1);
    EXPECT_NE(Now(), before) << "too late";
  }

  std::string rest_;
};

class Http2Rows : public Http2States, public testing::WithParamInterface<Row> {};

TEST_P(Http2Rows, Go) {
  const Row& row = GetParam();
  Reach(row.from);
  Happen(row.event);
  Settle();
  EXPECT_EQ(Now(), row.next);
  EXPECT_EQ(Frames(), row.frames);
  CheckColumns(row.next);
  CheckDeadline(row.left_ms);
}

#define ROWS(State, ...) \
  INSTANTIATE_TEST_SUITE_P(State, Http2Rows, testing::Values(__VA_ARGS__), NameOfRow)
using enum Seen;

ROWS(New,  //
     Row{From::kNew, Event::kNothing, kIdle, "", 9000},
     Row{From::kNew, Event::kHalfFrame, kIdle, "", 9000},
     Row{From::kNew, Event::kSettings, kIdle, "SETTINGS+ACK", 9000},
     Row{From::kNew, Event::kBadSettings, kLinger, "GOAWAY(0,6)", 3000},
     Row{From::kNew, Event::kPing, kIdle, "PING+ACK", 9000},
     Row{From::kNew, Event::kUnknown, kIdle, "", 9000},
     Row{From::kNew, Event::kPriority, kIdle, "", 9000},
     Row{From::kNew, Event::kWindow, kIdle, "", 9000},
     Row{From::kNew, Event::kWindowOfZero, kLinger, "GOAWAY(0,1)", 3000},
     Row{From::kNew, Event::kRequest, kIdle, "HEADERS(3,200) DATA(3,5)+END", 40000},
     Row{From::kNew, Event::kHalfHead, kHead, "", 10000},
     Row{From::kNew, Event::kRestOfHead, kLinger, "GOAWAY(0,1)", 3000},
     Row{From::kNew, Event::kBadHead, kLinger, "GOAWAY(3,9)", 3000},
     Row{From::kNew, Event::kEvenHead, kLinger, "GOAWAY(0,1)", 3000},
     Row{From::kNew, Event::kData, kLinger, "GOAWAY(0,1)", 3000},
     Row{From::kNew, Event::kDataOfNone, kLinger, "GOAWAY(0,1)", 3000},
     Row{From::kNew, Event::kReset, kLinger, "GOAWAY(0,1)", 3000},
     Row{From::kNew, Event::kGoaway, kLinger, "", 3000}, Row{From::kNew, Event::kEnd, kClosed},  //
     Row{From::kNew, Event::kError, kClosed}, Row{From::kNew, Event::kWriteError, kClosed},
     Row{From::kNew, Event::kPlace, kClosed},
     Row{From::kNew, Event::kUnreadPlace, kIdle, "HEADERS(3,200) DATA(3,5)+END", 40000},
     Row{From::kNew, Event::kStop, kIdle, "GOAWAY(2147483647,0) PING", 1000},
     Row{From::kNew, Event::kStopNow, kClosed});

ROWS(Idle,  //
     Row{From::kIdle, Event::kNothing, kIdle, "", 39000},
     Row{From::kIdle, Event::kPing, kIdle, "PING+ACK", 39000},
     Row{From::kIdle, Event::kRequest, kIdle, "HEADERS(3,200) DATA(3,5)+END", 40000},
     Row{From::kIdle, Event::kHalfHead, kHead, "", 10000},
     Row{From::kIdle, Event::kOldHead, kLinger, "GOAWAY(1,1)", 3000},
     Row{From::kIdle, Event::kData, kIdle, "", 39000},
     Row{From::kIdle, Event::kReset, kIdle, "", 39000},
     Row{From::kIdle, Event::kGoaway, kLinger, "", 3000},
     Row{From::kIdle, Event::kEnd, kClosed},  //
     Row{From::kIdle, Event::kError, kClosed}, Row{From::kIdle, Event::kPlace, kClosed},
     Row{From::kIdle, Event::kStop, kIdle, "GOAWAY(2147483647,0) PING", 1000},
     Row{From::kIdle, Event::kStopNow, kClosed});

ROWS(Head,  //
     Row{From::kHead, Event::kNothing, kHead, "", 9000},
     Row{From::kHead, Event::kHalfFrame, kLinger, "GOAWAY(3,1)", 3000},
     Row{From::kHead, Event::kRestOfHead, kIdle, "HEADERS(3,200) DATA(3,5)+END", 40000},
     Row{From::kHead, Event::kPing, kLinger, "GOAWAY(3,1)", 3000},
     Row{From::kHead, Event::kRequest, kLinger, "GOAWAY(3,1)", 3000},
     Row{From::kHead, Event::kUnknown, kLinger, "GOAWAY(3,1)", 3000},
     Row{From::kHead, Event::kEnd, kClosed},  //
     Row{From::kHead, Event::kError, kClosed}, Row{From::kHead, Event::kPlace, kHead, "", 9000},
     Row{From::kHead, Event::kStop, kHead, "GOAWAY(2147483647,0) PING", 9000},
     Row{From::kHead, Event::kStopNow, kClosed});

ROWS(Busy,  //
     Row{From::kBusy, Event::kNothing, kBusy}, Row{From::kBusy, Event::kPing, kBusy, "PING+ACK"},
     Row{From::kBusy, Event::kRequest, kBusy, "HEADERS(3,200) DATA(3,5)+END"},
     Row{From::kBusy, Event::kHalfHead, kHead, "", 10000},
     Row{From::kBusy, Event::kData, kLinger, "GOAWAY(1,5)", 3000},  // after its END_STREAM
     Row{From::kBusy, Event::kReset, kIdle, "", 40000},
     Row{From::kBusy, Event::kWindowOfZero, kLinger, "GOAWAY(1,1)", 3000},
     Row{From::kBusy, Event::kGoaway, kBusy}, Row{From::kBusy, Event::kEnd, kClosed},  //
     Row{From::kBusy, Event::kError, kClosed}, Row{From::kBusy, Event::kWriteError, kClosed},
     Row{From::kBusy, Event::kPlace, kBusy},
     Row{From::kBusy, Event::kStop, kBusy, "GOAWAY(2147483647,0) PING"},
     Row{From::kBusy, Event::kStopNow, kClosed},
     Row{From::kBusy, Event::kFinish, kIdle, "HEADERS(1,200) DATA(1,3)+END", 40000},
     Row{From::kBusy, Event::kBreak, kIdle, "HEADERS(1,502) DATA(1,4)+END", 40000},
     Row{From::kBody, Event::kData, kBusy}, Row{From::kBody, Event::kReset, kIdle, "", 40000},
     Row{From::kBody, Event::kEnd, kClosed},
     Row{From::kBody, Event::kFinish, kIdle, "HEADERS(1,200) DATA(1,3)+END", 40000},
     Row{From::kLeaving, Event::kRequest, kBusy},  // the client may send it again elsewhere
     Row{From::kLeaving, Event::kReset, kLinger, "", 3000},
     Row{From::kLeaving, Event::kFinish, kLinger, "HEADERS(1,200) DATA(1,3)+END", 3000},
     Row{From::kLeaving, Event::kStopNow, kClosed});

ROWS(Linger,  //
     Row{From::kLinger, Event::kNothing, kLinger, "", 2000},
     Row{From::kLinger, Event::kRequest, kLinger, "", 3000},  // its bytes make it longer
     Row{From::kLinger, Event::kEnd, kClosed},                //
     Row{From::kLinger, Event::kError, kClosed}, Row{From::kLinger, Event::kPlace, kClosed},
     Row{From::kLinger, Event::kUnreadPlace, kClosed},
     Row{From::kLinger, Event::kStop, kLinger, "", 2000},
     Row{From::kLinger, Event::kStopNow, kClosed});

}  // namespace
}  // namespace limpet::worker
