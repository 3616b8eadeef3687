#include "proto/http1/chunked.h"

#include <gtest/gtest.h>

#include <string>

namespace limpet::proto {
namespace {

using namespace std::string_literals;

struct Outcome {
  std::string body;
  ChunkedDecoder::Status status = ChunkedDecoder::Status::kMore;
  size_t consumed = 0;
};

// Feeds `bytes` in pieces of `step`, until done, wrong or at the end.
Outcome Decode(ChunkedDecoder* decoder, const std::string& bytes, size_t step) {
  Outcome out;
  for (size_t at = 0; at < bytes.size() && out.status == ChunkedDecoder::Status::kMore;
       at += step) {
    const std::string part = bytes.substr(at, step);
    out.status = decoder->Feed(part);
    for (const std::string_view piece : decoder->pieces()) out.body += piece;
    out.consumed += decoder->consumed();
  }
  return out;
}

ChunkedDecoder::Status StatusOf(const std::string& bytes, size_t step = 1 << 20) {
  ChunkedDecoder decoder;
  return Decode(&decoder, bytes, step).status;
}

TEST(ChunkedDecoder, DecodesInPiecesOfAnySize) {
  const std::string bytes =
      "5\r\nhello\r\n1;ext=\"v\"\r\n,\r\n00a\r\n0123456789\r\nA\r\nabcdefghij\r\n0\r\nX-Sum: "
      "1\r\nEtag: \"a\"\r\n\r\n";
  for (size_t step = 1; step <= bytes.size(); ++step) {
    ChunkedDecoder decoder;
    const Outcome out = Decode(&decoder, bytes, step);
    ASSERT_EQ(out.status, ChunkedDecoder::Status::kDone) << step;
    EXPECT_EQ(out.body, "hello,0123456789abcdefghij");
    EXPECT_EQ(out.consumed, bytes.size());
    ASSERT_EQ(decoder.trailers().size(), 2U);
    EXPECT_EQ(decoder.trailers().Find("x-sum")->value, "1");
  }
}

TEST(ChunkedDecoder, EverySplitInTwo) {
  const std::string bytes = "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
  for (size_t n = 0; n <= bytes.size(); ++n) {
    ChunkedDecoder decoder;
    std::string body;
    for (const std::string& part : {bytes.substr(0, n), bytes.substr(n)}) {
      if (!decoder.done()) {
        ASSERT_NE(decoder.Feed(part), ChunkedDecoder::Status::kError) << n;
        for (const std::string_view piece : decoder.pieces()) body += piece;
      }
    }
    EXPECT_TRUE(decoder.done()) << n;
    EXPECT_EQ(body, "abcde");
  }
}

TEST(ChunkedDecoder, PiecesAreViewsOfTheInput) {
  const std::string bytes = "3\r\nabc\r\n";
  ChunkedDecoder decoder;
  decoder.Feed(bytes);
  ASSERT_EQ(decoder.pieces().size(), 1U);
  EXPECT_EQ(decoder.pieces()[0].data(), bytes.data() + 3);
}

TEST(ChunkedDecoder, StopsAtTheEndOfTheBody) {
  ChunkedDecoder decoder;
  const Outcome out = Decode(&decoder, "1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n", 1 << 20);
  EXPECT_EQ(out.status, ChunkedDecoder::Status::kDone);
  EXPECT_EQ(out.consumed, 11U);
}

TEST(ChunkedDecoder, RefusesMalformedChunks) {
  for (const std::string& bytes : {"\r\n"s,
                                   "g\r\n"s,
                                   "-1\r\n"s,
                                   "+1\r\na\r\n"s,
                                   "0x1\r\na\r\n"s,
                                   " 1\r\na\r\n"s,
                                   "\n1\r\n"s,
                                   ";a\r\n"s,
                                   "1\na\r\n"s,
                                   "1\r\na\n"s,
                                   "1\r\naX"s,
                                   "1\r\na\rX"s,
                                   "1\rX\na\r\n"s,
                                   "1\r\r\na\r\n"s,
                                   "1;a\nb\r\n"s,
                                   "1;a\rb\r\n"s,
                                   "1;\0\r\n"s,
                                   "1;a=\x01\r\n"s,
                                   "1 \n"s,
                                   "10000000000000000\r\n"s,
                                   "8000000000000000\r\n"s,
                                   "ffffffffffffffff\r\n"s,
                                   "00000000000000000000000g\r\n"s}) {
    EXPECT_EQ(StatusOf(bytes), ChunkedDecoder::Status::kError) << bytes;
    EXPECT_EQ(StatusOf(bytes, 1), ChunkedDecoder::Status::kError) << bytes;
  }
}

TEST(ChunkedDecoder, RefusesMalformedTrailers) {
  for (const std::string& trailer :
       {"A: b\n"s, "A: b\r\n c\r\n"s, " A: b\r\n"s, "A : b\r\n"s, "nocolon\r\n"s, "A: \0\r\n"s,
        "A: b\rC: d\r\n"s, "\n"s, "Content-Length: 1\r\nContent-Length: 2\r\n"s,
        "Content-Length: x\r\n"s, "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"s}) {
    EXPECT_EQ(StatusOf("0\r\n" + trailer + "\r\n"), ChunkedDecoder::Status::kError) << trailer;
  }
}

TEST(ChunkedDecoder, DropsTrailersThatMayNotBeThere) {
  ChunkedDecoder decoder;
  Decode(&decoder,
         "0\r\nContent-Length: 1\r\nHost: b\r\nX: y\r\nConnection: z\r\nSet-Cookie: "
         "a\r\n\r\n",
         1 << 20);
  ASSERT_TRUE(decoder.done());
  ASSERT_EQ(decoder.trailers().size(), 1U);
  EXPECT_EQ(decoder.trailers()[0].name, "X");
}

TEST(ChunkedDecoder, IsBounded) {
  EXPECT_EQ(StatusOf("1;" + std::string(ChunkedDecoder::kMaxSizeLine, 'a')),
            ChunkedDecoder::Status::kError);
  EXPECT_EQ(StatusOf(std::string(ChunkedDecoder::kMaxSizeLine + 1, '0')),
            ChunkedDecoder::Status::kError);
  EXPECT_EQ(StatusOf("0\r\nA: " + std::string(ChunkedDecoder::kMaxTrailers, 'a')),
            ChunkedDecoder::Status::kError);
}

TEST(ChunkedDecoder, IsReusable) {
  ChunkedDecoder decoder;
  EXPECT_EQ(Decode(&decoder, "x", 1).status, ChunkedDecoder::Status::kError);
  decoder.Reset();
  EXPECT_EQ(Decode(&decoder, "1\r\na\r\n0\r\nA: b\r\n\r\n", 1).body, "a");
  decoder.Reset();
  EXPECT_TRUE(decoder.trailers().empty());
  EXPECT_EQ(Decode(&decoder, "2\r\nbc\r\n0\r\n\r\n", 3).body, "bc");
  EXPECT_TRUE(decoder.done());
}

TEST(ChunkHeader, IsHexadecimal) {
  const auto header = [](uint64_t size) {
    char out[kMaxChunkHeader];
    return std::string(out, ChunkHeader(out, size));
  };
  EXPECT_EQ(header(1), "1\r\n");
  EXPECT_EQ(header(0x1a2b), "1a2b\r\n");
  EXPECT_EQ(header(UINT64_MAX), "ffffffffffffffff\r\n");
}

}  // namespace
}  // namespace limpet::proto
