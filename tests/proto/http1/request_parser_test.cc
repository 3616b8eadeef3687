#include "proto/http1/request_parser.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace limpet::proto {
namespace {

using namespace std::string_literals;

// One parser with the bytes it has been given, each time in fresh memory, so that a stale view is
// found by sanitizers.
class Feed {
 public:
  explicit Feed(HeadLimits limits = {}) : limits_(limits) {}

  HeadStatus Parse(std::string bytes) {
    bytes_ = std::make_unique<std::string>(std::move(bytes));
    return parser_.Parse(bytes_->data(), bytes_->size(), limits_);
  }
  RequestParser* operator->() { return &parser_; }

 private:
  HeadLimits limits_;
  RequestParser parser_;
  std::unique_ptr<std::string> bytes_;
};

std::string Describe(const RequestHead& head) {
  std::string text(head.method_name);
  text += "|" + std::string(head.target) + "|" + std::to_string(head.version_major) + "." +
          std::to_string(head.version_minor);
  for (const Header& h : head.headers) {
    text += "|" + std::string(h.name) + "=" + std::string(h.value);
    EXPECT_EQ(h.fit, IsFieldValue(h.value)) << h.value;
  }
  return text;
}

// The head in one line, or the status it is refused with, or "…" for an incomplete one.
std::string Parse(const std::string& bytes, HeadLimits limits = {}) {
  Feed feed(limits);
  switch (feed.Parse(bytes)) {
    case HeadStatus::kIncomplete:
      return "...";
    case HeadStatus::kError:
      return std::to_string(feed->error().status);
    case HeadStatus::kComplete:
      break;
  }
  return Describe(feed->head());
}

const std::string kTypical =
    "GET /api/items?page=2 HTTP/1.1\r\n"
    "Host: example.com\r\n"
    "User-Agent: test/1.0\r\n"
    "Cookie: a=b; c=d\r\n"
    "Content-Length: 3\r\n"
    "\r\n";

TEST(RequestParser, ReadsAHead) {
  Feed feed;
  ASSERT_EQ(feed.Parse(kTypical + "abc"), HeadStatus::kComplete);
  const RequestHead& head = feed->head();
  EXPECT_EQ(head.method, Method::kGet);
  EXPECT_EQ(head.request_line, "GET /api/items?page=2 HTTP/1.1");
  EXPECT_EQ(head.target, "/api/items?page=2");
  EXPECT_EQ(head.protocol, "HTTP/1.1");
  EXPECT_EQ(head.headers.size(), 4U);
  EXPECT_EQ(head.headers.Value(HeaderId::kCookie), "a=b; c=d");
  EXPECT_EQ(feed->consumed(), kTypical.size());
  EXPECT_TRUE(head.keep_alive());
}

TEST(RequestParser, AcceptsWhatNginxAccepts) {
  const struct {
    std::string bytes;
    std::string head;
  } cases[] = {
      // line ends and white space
      {"GET / HTTP/1.1\nHost: a\n\n", "GET|/|1.1|Host=a"},
      {"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\n", "GET|/|1.1|Host=a|X=b"},
      {"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET|/|1.1|Host=a"},
      {"GET   /   HTTP/1.0  \r\n\r\n", "GET|/|1.0"},
      {"GET / HTTP/1.0\r\nA:b\r\nB: \t c d \t\r\nC:\r\nD: \r\n\r\n", "GET|/|1.0|A=b|B=c d|C=|D="},
      // methods
      {"PURGE / HTTP/1.0\r\n\r\n", "PURGE|/|1.0"},
      {"X1 / HTTP/1.0\r\n\r\n", "400"},
      {"X_-Z / HTTP/1.0\r\n\r\n", "X_-Z|/|1.0"},
      // targets
      {"GET /\xC3\xA9\"<>[]{}|\\^` HTTP/1.0\r\n\r\n", "GET|/\xC3\xA9\"<>[]{}|\\^`|1.0"},
      {"GET http://a/b HTTP/1.0\r\n\r\n", "GET|http://a/b|1.0"},
      {"CONNECT a:1 HTTP/1.0\r\n\r\n", "CONNECT|a:1|1.0"},
      {"OPTIONS * HTTP/1.0\r\n\r\n", "OPTIONS|*|1.0"},
      // versions
      {"GET / HTTP/1.12\r\n\r\n", "GET|/|1.12"},
      {"GET / HTTP/1.01\r\n\r\n", "GET|/|1.1"},
      {"GET /\r\n", "GET|/|0.9"},
      {"GET /\n", "GET|/|0.9"},
      {"GET / \nHost: a", "GET|/|0.9"},
      // values
      {"GET / HTTP/1.0\r\nA: \xC3\xA9\tb\r\n\r\n", "GET|/|1.0|A=\xC3\xA9\tb"},
      {"GET / HTTP/1.0\r\nA: b: c\r\n\r\n", "GET|/|1.0|A=b: c"},
  };
  for (const auto& c : cases) EXPECT_EQ(Parse(c.bytes), c.head) << c.bytes;
}

TEST(RequestParser, RefusesBadRequestLines) {
  const struct {
    std::string bytes;
    std::string status;
  } cases[] = {
      {"get / HTTP/1.0\r\n\r\n", "400"},
      {"GET\r\n\r\n", "400"},
      {" GET / HTTP/1.0\r\n\r\n", "400"},
      {"GET\t/ HTTP/1.0\r\n\r\n", "400"},
      {"GET \r\n\r\n", "400"},
      {"GET a\\b HTTP/1.0 x\r\n\r\n", "400"},
      {"GET ?a HTTP/1.0\r\n\r\n", "400"},
      {"GET * HTTP/1.1\r\n\r\n", "400"},
      {"GET /\x01 HTTP/1.0\r\n\r\n", "400"},
      {"GET /\x7F HTTP/1.0\r\n\r\n", "400"},
      {"GET /\0 HTTP/1.0\r\n\r\n"s, "400"},
      {"GET /\t HTTP/1.0\r\n\r\n", "400"},
      {"GET /\r HTTP/1.0\r\n\r\n", "400"},
      {"GET / HTTP/1.0\r\r\n\r\n", "400"},
      {"GET / HTTP/2.0\r\n\r\n", "505"},
      {"GET / HTTP/11.0\r\n\r\n", "505"},
      {"GET / HTTP/0.9\r\n\r\n", "400"},
      {"GET / HTTP/1\r\n\r\n", "400"},
      {"GET / HTTP/1.\r\n\r\n", "400"},
      {"GET / HTTP/1.1000\r\n\r\n", "400"},
      {"GET / HTTP/1.1x\r\n\r\n", "400"},
      {"GET / http/1.1\r\n\r\n", "400"},
      {"GET / HTTP/1.1 x\r\n\r\n", "400"},
      {"GET / HTTPS/1.1\r\n\r\n", "400"},
      {"POST /\r\n", "400"},
      {"\x16\x03\x01\x02", "400"},
      {"PRI * HTTP/2.0\r\n\r\n", "400"},
  };
  for (const auto& c : cases) EXPECT_EQ(Parse(c.bytes), c.status) << c.bytes;
}

TEST(RequestParser, RefusesBadHeaderLines) {
  for (const std::string& line :
       {" folded: a"s, "A: b\r\n c"s, "A: b\r\n\tc"s, "A: b\n c"s,    "A : b"s,     "A\t: b"s,
        ": b"s,        "no colon"s,   "nocolon"s,     "A\x01: b"s,    "A\x7F: b"s,  "A\0: b"s,
        "A: b\0"s,     "A: b\x01"s,   "A: b\x7F"s,    "A: b\rc"s,     "A:\r b"s,    "A: b\r\rB: c"s,
        "A:\rB: c"s,   "\rA: b"s,     "A\r: b"s,      "\xC3\x01: a"s, "x.y: a\0b"s, "x.y: a\rb"s,
        "<x>: a\rb"s,  "<x>: a\x02"s}) {
    EXPECT_EQ(Parse("GET / HTTP/1.0\r\n" + line + "\r\n\r\n"), "400") << line;
    EXPECT_EQ(Parse("GET / HTTP/1.0\nB: c\n" + line + "\n\n"), "400") << line;
  }
}

// Every byte value in a short and in a long value (llhttp reads long ones 16 bytes at a time), and
// in a name.
TEST(RequestParser, EveryByteHasItsPlace) {
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    if (c == '\n') continue;  // ends a line
    const bool good_in_value = c == '\t' || (i >= 0x20 && i != 0x7F);
    for (const size_t before : {1U, 5U, 16U, 17U, 40U}) {
      const std::string value = std::string(before, 'a') + c + std::string(40, 'b');
      EXPECT_EQ(Parse("GET / HTTP/1.0\r\nA: " + value + "\r\n\r\n"),
                good_in_value ? "GET|/|1.0|A=" + value : "400")
          << i;
    }
    const std::string name = std::string("na") + c + "me";
    const std::string expected = i <= 0x20 || i == 0x7F ? "400"
                                 : c == ':'             ? "GET|/|1.0|na=me: b"
                                                        : "GET|/|1.0|" + name + "=b";
    EXPECT_EQ(Parse("GET / HTTP/1.0\r\n" + name + ": b\r\n\r\n", {.ignore_invalid_headers = false}),
              expected)
        << i;

    const std::string target = std::string("/a") + c + "b";
    const bool good_in_target = i > 0x20 && i != 0x7F;
    EXPECT_EQ(Parse("GET " + target + " HTTP/1.0\r\n\r\n"),
              good_in_target ? "GET|" + target + "|1.0" : "400")
        << i;
  }
}

TEST(RequestParser, IgnoresOrKeepsUnusualNames) {
  const std::string head = "GET / HTTP/1.0\r\na_b: 1\r\n.c: 2\r\n<d>: 3\r\n\xC3: 4\r\ne: 5\r\n\r\n";
  EXPECT_EQ(Parse(head), "GET|/|1.0|e=5");
  EXPECT_EQ(Parse(head, {.underscores_in_headers = true}), "GET|/|1.0|a_b=1|e=5");
  EXPECT_EQ(Parse(head, {.ignore_invalid_headers = false}),
            "GET|/|1.0|a_b=1|.c=2|<d>=3|\xC3=4|e=5");
  Feed feed;
  feed.Parse(head);
  EXPECT_EQ(feed->ignored_lines(), 4U);
  EXPECT_EQ(feed->first_ignored_line(), "a_b: 1");
}

TEST(RequestParser, ReadsFieldsAnewAsAServerWantsThem) {
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\nx_y: 1\r\nZ: 2\r\n\r\n";
  RequestParser parser;
  ASSERT_EQ(parser.Parse(head.data(), head.size(), {}), HeadStatus::kComplete);
  EXPECT_EQ(Describe(parser.head()), "GET|/|1.1|Host=a|Z=2");
  ASSERT_EQ(parser.ReadFields(head.data(), {.underscores_in_headers = true}),
            HeadStatus::kComplete);
  EXPECT_EQ(Describe(parser.head()), "GET|/|1.1|Host=a|x_y=1|Z=2");
  EXPECT_EQ(parser.ignored_lines(), 0U);
  EXPECT_EQ(parser.ReadFields(head.data(), {.max_headers = 1}), HeadStatus::kError);
  EXPECT_EQ(parser.error().status, 494);
}

TEST(RequestParser, KnowsTheHostAndTheSizeOfWhatItRefuses) {
  const std::string good = "GET / HTTP/1.1\r\nHost: a\r\n";
  const std::string long_line = "X: " + std::string(80, 'x');
  for (const std::string& bad : {std::string("C d\r\n\r\n"), long_line, long_line + "\r\n\r\n",
                                 long_line + "\r\nY: z", std::string("C: \x01\r\n\r\n")}) {
    Feed feed({.max_line = 64});
    EXPECT_EQ(feed.Parse("\r\n" + good + bad), HeadStatus::kError) << bad;
    const Header* const host = feed->head().headers.Find(HeaderId::kHost);
    EXPECT_TRUE(host != nullptr && host->value == "a") << bad;
    EXPECT_EQ(feed->good_size(), good.size()) << bad;
  }
  Feed feed;
  const std::string begun = good + "Other: x";
  EXPECT_EQ(feed.Parse(begun), HeadStatus::kIncomplete);
  feed->GiveUp(begun.data(), begun.size());
  EXPECT_TRUE(feed->head().headers.Has(HeaderId::kHost));
  EXPECT_EQ(feed->good_size(), good.size());
}

TEST(RequestParser, HasLimits) {
  const HeadLimits limits{.max_line = 32, .max_total = 80, .max_headers = 3};
  const std::string line = "GET / HTTP/1.0\r\n";
  EXPECT_EQ(Parse("GET /" + std::string(40, 'a'), limits), "414");
  EXPECT_EQ(Parse("GET /" + std::string(40, 'a') + " HTTP/1.0\r\n\r\n", limits), "414");
  EXPECT_EQ(Parse("GET /" + std::string(16, 'a') + " HTTP/1.0\n\n", limits).substr(0, 5), "GET|/");
  EXPECT_EQ(Parse(line + "A: " + std::string(40, 'a'), limits), "494");
  EXPECT_EQ(Parse(line + "A: " + std::string(40, 'a') + "\r\n\r\n", limits), "494");
  EXPECT_EQ(Parse(line + "A: b\r\nB: c\r\nC: d\r\n\r\n", limits), "GET|/|1.0|A=b|B=c|C=d");
  EXPECT_EQ(Parse(line + "A: b\r\nB: c\r\nC: d\r\nD: e\r\n\r\n", limits), "494");
  EXPECT_EQ(Parse(line + "a_a: b\r\nB: c\r\nC: d\r\nD: e\r\n\r\n", limits),
            "GET|/|1.0|B=c|C=d|D=e");
  const std::string full = "A: " + std::string(20, 'a') + "\r\n";
  EXPECT_EQ(Parse(line + full + full + full, limits), "494");
  EXPECT_EQ(Parse(line + full + full + full + "\r\n", limits), "494");
}

TEST(RequestParser, SaysWhyAsNginxDoes) {
  const auto reason = [](const std::string& bytes) {
    Feed feed({.max_line = 64, .max_headers = 2});
    EXPECT_EQ(feed.Parse(bytes), HeadStatus::kError) << bytes;
    return std::string(feed->error().reason) + "|" + std::string(feed->error().detail);
  };
  EXPECT_EQ(reason("get / HTTP/1.1\r\n"), "client sent invalid method|");
  EXPECT_EQ(reason("GET / HTTP/3.0\r\n"), "client sent invalid version|");
  EXPECT_EQ(reason("GET - HTTP/1.1\r\n"), "client sent invalid request|");
  EXPECT_EQ(reason("POST /\r\n"), "client sent invalid method in HTTP/0.9 request|");
  EXPECT_EQ(reason("GET / HTTP/1.1\r\nA: b\r\nC d\r\n\r\n"), "client sent invalid header line|C d");
  EXPECT_EQ(reason("GET / HTTP/1.1\r\nA: b\r\nC: \x01\r\n\r\n"),
            "client sent invalid header line|C: \x01");
  EXPECT_EQ(reason("GET / HTTP/1.1\r\nA: b\r\nC: d\r\nE: f\r\n\r\n"),
            "client sent too many header lines|");
  EXPECT_EQ(reason("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"),
            "client sent invalid \"Content-Length\" header|");
}

TEST(RequestParser, TellsWhatItKnowsOfAHeadThatNeverEnds) {
  const auto known = [](const std::string& bytes) {
    Feed feed;
    EXPECT_EQ(feed.Parse(bytes), HeadStatus::kIncomplete) << bytes;
    feed->GiveUp(bytes.data(), bytes.size());
    return fmt::format("{}|{}|{}", feed->head().request_line, feed->head().method_name,
                       feed->head().protocol);
  };
  EXPECT_EQ(known("\r\nGET / HTTP/1.1\r\nA: b\r\n"), "GET / HTTP/1.1|GET|HTTP/1.1");
  EXPECT_EQ(known("GET / HT"), "GET / HT||");
}

TEST(RequestParser, ABadLineNamesNoMethod) {
  Feed feed;
  ASSERT_EQ(feed.Parse("GET / HTTP/3.0\r\n"), HeadStatus::kError);
  EXPECT_EQ(feed->head().request_line, "GET / HTTP/3.0");
  EXPECT_EQ(feed->head().method_name, "");
}

TEST(RequestParser, EverySplitGivesTheSameHead) {
  for (const std::string& head :
       {kTypical, "\r\nPOST /a HTTP/1.0\nA: b\n<x>: c\r\nContent-Length: 0\n\n"s}) {
    Feed whole;
    ASSERT_EQ(whole.Parse(head), HeadStatus::kComplete);
    for (size_t n = 0; n < head.size(); ++n) {
      Feed feed;
      ASSERT_EQ(feed.Parse(head.substr(0, n)), HeadStatus::kIncomplete) << n;
      ASSERT_EQ(feed.Parse(head + "rest"), HeadStatus::kComplete) << n;
      EXPECT_EQ(Describe(feed->head()), Describe(whole->head())) << n;
      EXPECT_EQ(feed->consumed(), head.size());
    }
  }
}

TEST(RequestParser, ByteByByte) {
  Feed feed;
  for (size_t n = 1; n < kTypical.size(); ++n) {
    ASSERT_EQ(feed.Parse(kTypical.substr(0, n)), HeadStatus::kIncomplete) << n;
  }
  EXPECT_EQ(feed.Parse(kTypical), HeadStatus::kComplete);
}

TEST(RequestParser, IsReusable) {
  Feed feed;
  ASSERT_EQ(feed.Parse("POST /long HTTP/1.0\r\nA: b\r\nConnection: keep-alive\r\n\r\n"),
            HeadStatus::kComplete);
  EXPECT_TRUE(feed->head().keep_alive());
  feed->Reset();
  EXPECT_FALSE(feed->started());
  ASSERT_EQ(feed.Parse("GET / HTTP/1.0\r\n\r\n"), HeadStatus::kComplete);
  EXPECT_EQ(Describe(feed->head()), "GET|/|1.0");
  EXPECT_FALSE(feed->head().keep_alive());
}

TEST(RequestParser, ReadsConnectionOptions) {
  const auto keep_alive = [](const std::string& version, const std::string& connection) {
    Feed feed;
    feed.Parse("GET / HTTP/" + version + "\r\nHost: a\r\n" + connection + "\r\n");
    return feed->head().keep_alive();
  };
  EXPECT_TRUE(keep_alive("1.1", ""));
  EXPECT_FALSE(keep_alive("1.1", "Connection: close\r\n"));
  EXPECT_FALSE(keep_alive("1.1", "Connection: Keep-Alive, Close\r\n"));
  EXPECT_FALSE(keep_alive("1.0", ""));
  EXPECT_TRUE(keep_alive("1.0", "Connection: x, Keep-Alive\r\n"));
  EXPECT_TRUE(keep_alive("1.2", ""));
}

}  // namespace
}  // namespace limpet::proto
