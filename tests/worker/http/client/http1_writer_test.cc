// Heads and chunks as HTTP/1.1 writes them.
#include "worker/http/client/http1_writer.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "worker/net/plain_transport.h"

namespace limpet::worker {
namespace {

class Http1WriterTest : public testing::Test {
 protected:
  Http1WriterTest() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    transport_ = PlainTransport::Adopt(loop_, UniqueFd(ends[0]));
    other_ = UniqueFd(ends[1]);
  }

  std::string Written() {
    EXPECT_EQ(out_.Flush(*transport_), FlushResult::kDrained);
    std::string text(65536, '\0');
    const ssize_t n = ::read(other_.get(), text.data(), text.size());
    text.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return text;
  }

  Loop loop_;
  BlockPool pool_;
  std::unique_ptr<Transport> transport_;
  UniqueFd other_;
  OutputQueue out_{pool_};
};

TEST_F(Http1WriterTest, WritesFieldsInTheirOrder) {
  proto::HeaderList fields;
  fields.Add("X-First", "1");
  fields.Add("Set-Cookie", "a=b");
  ResponseHead head;
  head.status = 200;
  head.server = "limpet";
  head.date = "Sun, 22 Nov 2026 10:00:00 GMT";
  head.content_type = "text/plain";
  head.content_length = 5;
  head.last_modified = "Sat, 21 Nov 2026 10:00:00 GMT";
  head.location = "/elsewhere";
  head.vary_gzip = true;
  head.etag = "\"1\"";
  head.fields = &fields;
  head.keep_alive_s = 20;
  http1::WriteHead(head, true, &out_);
  EXPECT_EQ(Written(),
            "HTTP/1.1 200 OK\r\n"
            "Server: limpet\r\n"
            "Date: Sun, 22 Nov 2026 10:00:00 GMT\r\n"
            "Content-Type: text/plain\r\n"
            "Content-Length: 5\r\n"
            "Last-Modified: Sat, 21 Nov 2026 10:00:00 GMT\r\n"
            "Location: /elsewhere\r\n"
            "Connection: keep-alive\r\n"
            "Keep-Alive: timeout=20\r\n"
            "Vary: Accept-Encoding\r\n"
            "ETag: \"1\"\r\n"
            "X-First: 1\r\n"
            "Set-Cookie: a=b\r\n"
            "\r\n");
}

TEST_F(Http1WriterTest, LeavesOutWhatIsNotThere) {
  const proto::HeaderList none;
  ResponseHead head;
  head.status = 599;
  head.fields = &none;
  head.chunked = true;
  http1::WriteHead(head, false, &out_);
  EXPECT_EQ(Written(), "HTTP/1.1 599 \r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
}

TEST_F(Http1WriterTest, AnEmptyLocationIsOne) {
  const proto::HeaderList none;
  ResponseHead head;
  head.status_line = "302 Over There";
  head.location = "";
  head.fields = &none;
  http1::WriteHead(head, false, &out_);
  EXPECT_EQ(Written(), "HTTP/1.1 302 Over There\r\nLocation: \r\nConnection: close\r\n\r\n");
}

TEST_F(Http1WriterTest, SwitchesProtocols) {
  proto::HeaderList fields;
  fields.Add("Upgrade", "websocket");
  ResponseHead head;
  head.status = 101;
  head.is_upgrade = true;
  head.fields = &fields;
  http1::WriteHead(head, false, &out_);
  EXPECT_EQ(Written(),
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
            "Upgrade: websocket\r\n\r\n");
}

TEST_F(Http1WriterTest, WritesInterimHeads) {
  proto::HeaderList fields;
  http1::WriteInterim(100, fields, &out_);
  fields.Add("Link", "</a.css>");
  http1::WriteInterim(103, fields, &out_);
  EXPECT_EQ(Written(),
            "HTTP/1.1 100 Continue\r\n\r\n"
            "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
}

TEST_F(Http1WriterTest, ChunksEndWithTrailers) {
  http1::BeginChunk(26, &out_);
  out_.Append("abcdefghijklmnopqrstuvwxyz");
  http1::EndChunk(&out_);
  proto::HeaderList trailers;
  trailers.Add("X-Sum", "7");
  http1::WriteLastChunk(trailers, &out_);
  EXPECT_EQ(Written(), "1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nX-Sum: 7\r\n\r\n");
}

}  // namespace
}  // namespace limpet::worker
