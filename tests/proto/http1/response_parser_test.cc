#include "proto/http1/response_parser.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace limpet::proto {
namespace {

using namespace std::string_literals;

constexpr size_t kMaxTotal = 4096;

std::string Describe(const ResponseHead& head) {
  std::string text = std::to_string(head.status) + "|" + std::string(head.reason);
  for (const Header& h : head.headers)
    text += "|" + std::string(h.name) + "=" + std::string(h.value);
  return text;
}

std::string Parse(const std::string& bytes, size_t max_total = kMaxTotal) {
  ResponseParser parser;
  switch (parser.Parse(bytes.data(), bytes.size(), max_total)) {
    case HeadStatus::kIncomplete:
      return "...";
    case HeadStatus::kError:
      return std::string(parser.error().reason);
    case HeadStatus::kComplete:
      break;
  }
  return Describe(parser.head());
}

TEST(ResponseParser, AcceptsWhatNginxAccepts) {
  const struct {
    std::string bytes;
    std::string head;
  } cases[] = {
      {"HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody", "200|OK|A=b"},
      {"HTTP/1.1 200\r\n\r\n", "200|"},
      {"HTTP/1.1 200 \r\n\r\n", "200|"},
      {"HTTP/1.0 404 Not  Found\nA: b\n\n", "404|Not  Found|A=b"},
      {"HTTP/1.1  200 OK\r\n\r\n", "200|OK"},
      {"HTTP/1.1 403.1 Forbidden\r\n\r\n", "403|1 Forbidden"},
      {"HTTP/1.1 200 caf\xC3\xA9\r\n\r\n", "200|caf\xC3\xA9"},
      {"HTTP/1.1 999 Odd\r\n\r\n", "999|Odd"},
      {"HTTP/2.0 200 OK\r\n\r\n", "200|OK"},
      {"HTTP/1.1 200 OK\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\n", "200|OK|A=b"},
      {"HTTP/1.1 200 OK\r\nx_y: 1\r\nx.z: 2\r\n<z>: 3\r\n\r\n", "200|OK|x_y=1|x.z=2|<z>=3"},
      {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
       "101|Switching Protocols|Upgrade=x|Connection=upgrade"},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "100|Continue"},
  };
  for (const auto& c : cases) EXPECT_EQ(Parse(c.bytes), c.head) << c.bytes;
}

TEST(ResponseParser, RefusesWhatIsNoStatusLine) {
  for (const std::string& line :
       {"nonsense"s, "HTTP/1.1"s, "HTTP/1.1 20 OK"s, "HTTP/1.1 2000 OK"s, "HTTP/1.1 abc"s,
        "HTTP/1 200 OK"s, "HTTP/x.1 200 OK"s, "http/1.1 200 OK"s, "HTTP/1.1 200OK"s,
        "HTTP/1.1 200 O\0K"s, "HTTP/1.1 200 O\rK"s, "HTTP/1.1 200 O\x1BK"s, "HTTP/1.1 200 O\x7FK"s,
        "HTTP/1.1 099 Low"s, ""s}) {
    EXPECT_EQ(Parse(line + "\r\n\r\n"), "upstream sent no valid HTTP/1.0 header") << line;
  }
  ResponseParser parser;
  EXPECT_EQ(parser.Parse("HTM", 3, kMaxTotal),
            HeadStatus::kError);  // need not wait for the end of the line
}

TEST(ResponseParser, RefusesBadHeaderLines) {
  for (const std::string& line :
       {"A: b\r\n folded"s, " a: b"s, "A : b"s, ": b"s, "nocolon"s, "A: \0"s, "A: \x01"s,
        "A: b\rC: d"s, "A\x01: b"s, "A:\rContent-Length: 3"s}) {
    EXPECT_EQ(Parse("HTTP/1.1 200 OK\r\n" + line + "\r\n\r\n"), "upstream sent invalid header")
        << line;
  }
  EXPECT_EQ(Parse("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"),
            "upstream sent duplicate \"Content-Length\" header");
}

TEST(ResponseParser, HasALimit) {
  const std::string head = "HTTP/1.1 200 OK\r\nA: " + std::string(100, 'a') + "\r\n\r\n";
  EXPECT_EQ(Parse(head, head.size()).substr(0, 6), "200|OK");
  EXPECT_EQ(Parse(head, head.size() - 1), "upstream sent too big header");
  EXPECT_EQ(Parse(head.substr(0, 64), 64), "upstream sent too big header");
  EXPECT_EQ(Parse(head.substr(0, 63), 64), "...");
}

TEST(ResponseParser, EverySplitGivesTheSameHead) {
  const std::string head =
      "HTTP/1.1 200 OK\r\nServer: a\nContent-Length: 3\r\nSet-Cookie: a=b; Path=/\r\n\r\n";
  for (size_t n = 0; n < head.size(); ++n) {
    ResponseParser parser;
    const auto first = std::make_unique<std::string>(head.substr(0, n));
    ASSERT_EQ(parser.Parse(first->data(), n, kMaxTotal), HeadStatus::kIncomplete) << n;
    ASSERT_EQ(parser.Parse(head.data(), head.size(), kMaxTotal), HeadStatus::kComplete) << n;
    EXPECT_EQ(Describe(parser.head()), "200|OK|Server=a|Content-Length=3|Set-Cookie=a=b; Path=/");
    EXPECT_EQ(parser.consumed(), head.size());
  }
}

TEST(ResponseParser, InterimHeadsAreReported) {
  const std::string bytes = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
  ResponseParser parser;
  ASSERT_EQ(parser.Parse(bytes.data(), bytes.size(), kMaxTotal), HeadStatus::kComplete);
  EXPECT_TRUE(parser.head().is_interim());
  const size_t skip = parser.consumed();
  parser.Reset();
  ASSERT_EQ(parser.Parse(bytes.data() + skip, bytes.size() - skip, kMaxTotal),
            HeadStatus::kComplete);
  EXPECT_FALSE(parser.head().is_interim());
  EXPECT_EQ(parser.head().status, 200);
  EXPECT_EQ(parser.head().status_line, "200 OK");
  EXPECT_TRUE(parser.head().headers.empty());
}

}  // namespace
}  // namespace limpet::proto
