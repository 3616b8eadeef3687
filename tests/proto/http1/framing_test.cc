#include "proto/http1/framing.h"

#include <gtest/gtest.h>

#include <initializer_list>

#include "proto/http1/request_rules.h"

namespace limpet::proto {
namespace {

struct Field {
  const char* name;
  const char* value;
};

RequestHead Request(std::initializer_list<Field> fields, int minor = 1) {
  RequestHead head;
  head.method = Method::kPost;
  head.version_minor = minor;
  for (const Field& f : fields) head.headers.Add(f.name, f.value);
  return head;
}

ResponseHead Response(int status, std::initializer_list<Field> fields) {
  ResponseHead head;
  head.status = status;
  head.version_minor = 1;
  for (const Field& f : fields) head.headers.Add(f.name, f.value);
  return head;
}

constexpr Field kChunked{"Transfer-Encoding", "chunked"};
constexpr Field kFive{"Content-Length", "5"};

TEST(RequestFraming, DecidesTheBody) {
  EXPECT_EQ(RequestFraming(Request({})).kind, BodyKind::kNone);
  EXPECT_EQ(RequestFraming(Request({kFive})).length, 5U);
  EXPECT_EQ(RequestFraming(Request({kFive})).kind, BodyKind::kLength);
  EXPECT_EQ(RequestFraming(Request({{"Content-Length", "0"}})).kind, BodyKind::kNone);
  EXPECT_EQ(RequestFraming(Request({kChunked})).kind, BodyKind::kChunked);
  EXPECT_EQ(RequestFraming(Request({{"transfer-encoding", "Chunked"}})).kind, BodyKind::kChunked);
}

TEST(RequestFraming, RefusesWhatCouldBeReadInTwoWays) {
  EXPECT_EQ(RequestFraming(Request({kFive, kChunked})).status, 400);
  EXPECT_EQ(RequestFraming(Request({kFive, kFive})).status, 400);
  EXPECT_EQ(RequestFraming(Request({kChunked, kChunked})).status, 400);
  EXPECT_EQ(RequestFraming(Request({kChunked}, 0)).status, 400);
  for (const char* value :
       {"", "-5", "+5", "5 5", "5,5", "5, 5", "0x5", "5a", "1e1", "9223372036854775808",
        "18446744073709551616", "99999999999999999999999"}) {
    EXPECT_EQ(RequestFraming(Request({{"Content-Length", value}})).status, 400) << value;
  }
  for (const char* value : {"", "gzip", "identity", "gzip, chunked", "chunked, gzip",
                            "chunked, chunked", "xchunked", "chunked;q=1", "\vchunked"}) {
    EXPECT_EQ(RequestFraming(Request({{"Transfer-Encoding", value}})).status, 501) << value;
  }
}

TEST(RequestFraming, TakesTheLargestLength) {
  EXPECT_EQ(RequestFraming(Request({{"Content-Length", "9223372036854775807"}})).length,
            9223372036854775807U);
}

TEST(ResponseFraming, DecidesTheBody) {
  EXPECT_EQ(ResponseFraming(Method::kGet, Response(200, {kFive})).length, 5U);
  EXPECT_EQ(ResponseFraming(Method::kGet, Response(200, {kChunked})).kind, BodyKind::kChunked);
  EXPECT_EQ(ResponseFraming(Method::kGet, Response(200, {})).kind, BodyKind::kUntilClose);
  EXPECT_EQ(ResponseFraming(Method::kGet, Response(200, {{"Content-Length", "0"}})).kind,
            BodyKind::kNone);
  for (const int status : {100, 103, 204, 304}) {
    EXPECT_EQ(ResponseFraming(Method::kGet, Response(status, {kFive})).kind, BodyKind::kNone)
        << status;
  }
  EXPECT_EQ(ResponseFraming(Method::kHead, Response(200, {kFive})).kind, BodyKind::kNone);
  EXPECT_EQ(ResponseFraming(Method::kHead, Response(200, {kChunked})).kind, BodyKind::kNone);
  EXPECT_EQ(ResponseFraming(Method::kGet, Response(101, {})).kind, BodyKind::kTunnel);
  EXPECT_EQ(ResponseFraming(Method::kConnect, Response(200, {kFive})).kind, BodyKind::kTunnel);
}

TEST(ResponseFraming, RefusesWhatCouldBeReadInTwoWays) {
  for (const Method method : {Method::kGet, Method::kHead}) {
    EXPECT_EQ(ResponseFraming(method, Response(200, {kFive, kChunked})).status, 502);
    EXPECT_EQ(ResponseFraming(method, Response(200, {kFive, kFive})).status, 502);
    EXPECT_EQ(ResponseFraming(method, Response(200, {kChunked, kChunked})).status, 502);
    EXPECT_EQ(ResponseFraming(method, Response(200, {{"Content-Length", "5x"}})).status, 502);
    EXPECT_EQ(ResponseFraming(method, Response(200, {{"Transfer-Encoding", "gzip"}})).status, 502);
    EXPECT_EQ(ResponseFraming(method, Response(304, {kFive, kChunked})).status, 502);
  }
}

HeadError Check(const RequestHead& head) { return CheckRequest(head, RequestFraming(head)); }

TEST(CheckRequest, WantsExactlyOneHost) {
  const Field host{"Host", "a"};
  EXPECT_EQ(Check(Request({host})).status, 0);
  EXPECT_EQ(Check(Request({})).status, 400);
  EXPECT_EQ(Check(Request({}, 0)).status, 0);
  EXPECT_EQ(Check(Request({host, host})).status, 400);
  EXPECT_EQ(Check(Request({host, host}, 0)).status, 400);
}

TEST(CheckRequest, WantsSomeHeadersOnlyOnce) {
  const Field host{"Host", "a"};
  EXPECT_EQ(Check(Request({host, {"Authorization", "a"}, {"authorization", "b"}})).status, 400);
  EXPECT_EQ(Check(Request({host, {"Expect", "a"}, {"Expect", "b"}})).status, 400);
  EXPECT_EQ(Check(Request({host, {"Cookie", "a"}, {"Cookie", "b"}})).status, 0);
}

TEST(CheckRequest, RefusesMethodsOfOtherKindsOfProxy) {
  for (const Method method : {Method::kConnect, Method::kTrace}) {
    RequestHead head = Request({{"Host", "a"}});
    head.method = method;
    EXPECT_EQ(Check(head).status, 405);
  }
}

}  // namespace
}  // namespace limpet::proto
