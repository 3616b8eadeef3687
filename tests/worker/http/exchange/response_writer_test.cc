// ResponseWriter: how the client finds a body's end, which fields go out, and the order of filters.
#include "worker/http/exchange/response_writer.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/worker/http/exchange/exchange_fixture.h"

namespace limpet::worker {
namespace {

constexpr std::string_view kServers = R"(
  upstream app { server unix:@ORIGIN@ max_fails=0; }
  server {
    listen 127.0.0.1:80;
    location / { proxy_pass http://app; proxy_http_version 1.1; }
    location /plain { proxy_pass http://app; proxy_http_version 1.1;
                      chunked_transfer_encoding off; }
    location /sub { proxy_pass http://app; proxy_http_version 1.1; sub_filter a bb;
                    sub_filter_types *; sub_filter_once off; }
    location /both { proxy_pass http://app; proxy_http_version 1.1; sub_filter a bb;
                     sub_filter_types *; sub_filter_once off;
                     gzip on; gzip_types *; gzip_min_length 1; }
    location /file { alias @FILES@/page; }
    location /fields { add_header X-One 1; add_header X-Two 2; alias @FILES@/page; }
    location /none { add_header X-Always 1 always; add_header X-Fine 1; return 404; }
    location /empty { return 204; }
    location /away { return 302 /there; }
  }
)";

class ResponseWriterTest : public ExchangeTest {
 protected:
  ResponseWriterTest() : ExchangeTest(kServers) {}

  void Ask(std::string_view path, std::string_view method = "GET", std::string_view version = "1.1",
           std::string_view fields = "") {
    Start(fmt::format("{} {} HTTP/{}\r\nHost: a\r\n{}\r\n", method, path, version, fields));
  }
  void Answer(std::string_view fields, std::string_view body) {
    origin().Answer(fmt::format("HTTP/1.1 200 OK\r\n{}\r\n{}", fields, body));
    Settle();
    if (stream_.finished == 0) origin().Close();
    Settle();
  }
  std::string FieldNames() {
    std::string names;
    for (const proto::Header& field : *head().fields) (names += field.name) += ' ';
    return names;
  }
};

TEST_F(ResponseWriterTest, SaysTheLengthThatIsKnown) {
  Ask("/");
  Answer("Content-Length: 3\r\n", "abc");
  EXPECT_EQ(head().content_length, 3);
  EXPECT_FALSE(head().chunked);
  EXPECT_FALSE(stream_.is_last);
  EXPECT_EQ(stream_.body, "abc");
  EXPECT_EQ(stream_.ends, 1);
}

TEST_F(ResponseWriterTest, EndsABodyOfUnknownLengthByChunks) {
  Ask("/");
  Answer("", "abc");
  EXPECT_EQ(head().content_length, -1);
  EXPECT_TRUE(head().chunked);
  EXPECT_FALSE(stream_.is_last);
  EXPECT_EQ(stream_.body, "abc");
}

TEST_F(ResponseWriterTest, EndsItByClosingForAnOldClient) {
  Ask("/", "GET", "1.0");
  Answer("", "abc");
  EXPECT_FALSE(head().chunked);
  EXPECT_TRUE(stream_.is_last);
}

TEST_F(ResponseWriterTest, EndsItByClosingWhereChunksAreOff) {
  Ask("/plain");
  Answer("", "abc");
  EXPECT_FALSE(head().chunked);
  EXPECT_TRUE(stream_.is_last);
}

TEST_F(ResponseWriterTest, TellsHeadOfTheBodyThatItWouldSend) {
  Ask("/file", "HEAD");
  EXPECT_EQ(head().content_length, 7);
  EXPECT_TRUE(head().no_body);
  EXPECT_EQ(stream_.body, "");
  EXPECT_EQ(stream_.finished, 1);
}

TEST_F(ResponseWriterTest, SendsNoBodyAndNoLengthWith204) {
  Ask("/empty");
  EXPECT_EQ(head().status, 204);
  EXPECT_TRUE(head().no_body);
  EXPECT_EQ(head().content_length, -1);
  EXPECT_EQ(head().content_type, "");
}

TEST_F(ResponseWriterTest, SendsNoBodyWith304) {
  Ask("/file", "GET", "1.1", "If-None-Match: *\r\n");
  EXPECT_EQ(head().status, 304);
  EXPECT_TRUE(head().no_body);
  EXPECT_EQ(stream_.body, "");
}

TEST_F(ResponseWriterTest, SaysWhenAFileWasChanged) {
  Ask("/file");
  EXPECT_NE(head().last_modified, "");
  EXPECT_NE(head().etag, "");
}

TEST_F(ResponseWriterTest, SaysNothingOfThatWithAnError) {
  Ask("/none");
  EXPECT_EQ(head().status, 404);
  EXPECT_EQ(head().last_modified, "");
  EXPECT_EQ(FieldNames(), "X-Always ");
}

TEST_F(ResponseWriterTest, KeepsTheOrderOfAddedFields) {
  Ask("/fields");
  EXPECT_THAT(FieldNames(), testing::HasSubstr("X-One X-Two "));
}

TEST_F(ResponseWriterTest, MakesALocationAbsolute) {
  Ask("/away");
  EXPECT_EQ(head().location, "http://a/there");
}

TEST_F(ResponseWriterTest, CutsARangeOutOfAFile) {
  Ask("/file", "GET", "1.1", "Range: bytes=2-5\r\n");
  EXPECT_EQ(head().status, 206);
  EXPECT_EQ(head().content_length, 4);
  EXPECT_EQ(stream_.body, "page");
}

TEST_F(ResponseWriterTest, KnowsNoLengthOfAChangedText) {
  Ask("/sub");
  Answer("Content-Type: text/plain\r\nContent-Length: 3\r\n", "cab");
  EXPECT_TRUE(head().chunked);
  EXPECT_EQ(stream_.body, "cbbb");
}

// Replaced first, then compressed: what is compressed has no text.
TEST_F(ResponseWriterTest, ChangesTextBeforeItIsCompressed) {
  Ask("/both", "GET", "1.1", "Accept-Encoding: gzip\r\n");
  Answer("Content-Type: text/plain\r\nContent-Length: 3\r\n", "cab");
  EXPECT_TRUE(head().vary_gzip || head().chunked);
  ASSERT_GT(stream_.body.size(), 18u);
  EXPECT_EQ(stream_.body.substr(0, 2), "\x1f\x8b");
  const std::string size = stream_.body.substr(stream_.body.size() - 4);
  EXPECT_EQ(size, std::string("\4\0\0\0", 4)) << "of the text that is inside";
}

}  // namespace
}  // namespace limpet::worker
