// Mutated messages, always the same ones: no input may crash a parser, make views outside its
// bytes, or be read in two ways depending on how it was cut into pieces.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <random>
#include <string>

#include "proto/http1/chunked.h"
#include "proto/http1/framing.h"
#include "proto/http1/request_parser.h"
#include "proto/http1/request_rules.h"
#include "proto/http1/response_parser.h"
#include "proto/target.h"

namespace limpet::proto {
namespace {

constexpr int kRounds = 20000;

const std::string kSeeds[] = {
    "GET /a/../b%20c?d=e HTTP/1.1\r\nHost: example.com:80\r\nCookie: a=b\r\n\r\n",
    "POST http://h/x HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n5\r\nhello\r\n0\r\nA: "
    "b\r\n\r\n",
    "PUT / HTTP/1.0\r\nContent-Length: 3\r\nx_y: z\r\n<n>: 1\r\n\r\nabc",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\n\r\nhello",
    "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\nConnection: close\n\n",
    "3;ext=1\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nTrailer: x\r\nDate: y\r\n\r\n",
};

class Mutator {
 public:
  std::string Next() {
    std::string text = kSeeds[Below(std::size(kSeeds))];
    for (size_t i = Below(4); i > 0; --i) Change(&text);
    return text;
  }
  size_t Below(size_t n) { return random_() % n; }

 private:
  void Change(std::string* text) {
    using namespace std::string_view_literals;
    static constexpr std::string_view kBytes = "\r\n\0 \t:;,/%?#.0aF_\x7F\x80\xFF"sv;
    const size_t at = Below(text->size() + 1);
    switch (Below(5)) {
      case 0:
        text->insert(at, 1, kBytes[Below(kBytes.size())]);
        break;
      case 1:
        text->erase(at, 1 + Below(3));
        break;
      case 2:
        if (at < text->size()) (*text)[at] = kBytes[Below(kBytes.size())];
        break;
      case 3:
        text->insert(at, text->substr(Below(text->size() + 1), 1 + Below(30)));
        break;
      default:
        text->resize(at);
        break;
    }
  }

  std::mt19937 random_{20261122};  // NOLINT: the same every time, on purpose
};

void ExpectInside(std::string_view view, std::string_view bytes) {
  if (view.empty()) return;
  EXPECT_GE(view.data(), bytes.data());
  EXPECT_LE(view.data() + view.size(), bytes.data() + bytes.size());
}

std::string Verdict(HeadStatus status, size_t consumed, const HeaderList& headers,
                    std::string_view bytes) {
  if (status != HeadStatus::kComplete) return status == HeadStatus::kError ? "error" : "more";
  std::string text = std::to_string(consumed);
  for (const Header& h : headers) {
    ExpectInside(h.name, bytes);
    ExpectInside(h.value, bytes);
    EXPECT_EQ(h.value.find_first_of(std::string_view("\r\n\0", 3)), std::string_view::npos);
    text += "|" + std::string(h.name) + "=" + std::string(h.value);
  }
  return text;
}

std::string ParseRequest(RequestParser* parser, const std::string& bytes) {
  const HeadStatus status =
      parser->Parse(bytes.data(), bytes.size(), {.ignore_invalid_headers = false});
  if (status == HeadStatus::kComplete) {
    const RequestHead& head = parser->head();
    ExpectInside(head.target, bytes);
    CheckRequest(head, RequestFraming(head));
    std::string storage;
    Target target;
    if (ParseTarget(head.target, head.method, true, &storage, &target) && head.target != "*") {
      EXPECT_TRUE(target.uri.starts_with('/')) << bytes;
      EXPECT_EQ(("/" + std::string(target.uri) + "/").find("/../"), std::string::npos) << bytes;
    }
  }
  return Verdict(status, parser->consumed(), parser->head().headers, bytes);
}

std::string ParseResponse(ResponseParser* parser, const std::string& bytes) {
  const HeadStatus status = parser->Parse(bytes.data(), bytes.size(), 4096);
  if (status == HeadStatus::kComplete) ResponseFraming(Method::kGet, parser->head());
  return Verdict(status, parser->consumed(), parser->head().headers, bytes);
}

// Whole, and in two pieces: a refusal may come earlier in pieces, but never an acceptance of
// something else.
template <class Parser, class Parse>
void CheckSplit(const std::string& bytes, size_t cut, Parse parse) {
  Parser whole;
  const std::string expected = parse(&whole, bytes);
  Parser parser;
  const auto first = std::make_unique<std::string>(bytes.substr(0, cut));
  std::string actual = parse(&parser, *first);
  if (actual == "more") actual = parse(&parser, bytes);
  EXPECT_EQ(actual, expected) << bytes << "\ncut at " << cut;
}

std::string DecodeChunks(const std::string& bytes, size_t cut) {
  ChunkedDecoder decoder;
  std::string body;
  size_t consumed = 0;
  auto status = ChunkedDecoder::Status::kMore;
  for (const std::string& part : {bytes.substr(0, cut), bytes.substr(cut)}) {
    if (status != ChunkedDecoder::Status::kMore) break;
    status = decoder.Feed(part);
    consumed += decoder.consumed();
    for (const std::string_view piece : decoder.pieces()) body += piece;
  }
  if (status == ChunkedDecoder::Status::kError) return "error";
  return body + "|" + std::to_string(consumed) + (decoder.done() ? "|done" : "");
}

TEST(Mutation, HeadsAreReadInOneWay) {
  Mutator mutator;
  for (int i = 0; i < kRounds && !testing::Test::HasFailure(); ++i) {
    const std::string bytes = mutator.Next();
    const size_t cut = mutator.Below(bytes.size() + 1);
    CheckSplit<RequestParser>(bytes, cut, ParseRequest);
    CheckSplit<ResponseParser>(bytes, cut, ParseResponse);
  }
}

TEST(Mutation, ChunksAreReadInOneWay) {
  Mutator mutator;
  for (int i = 0; i < kRounds && !testing::Test::HasFailure(); ++i) {
    const std::string bytes = mutator.Next();
    EXPECT_EQ(DecodeChunks(bytes, mutator.Below(bytes.size() + 1)),
              DecodeChunks(bytes, bytes.size()))
        << bytes;
  }
}

}  // namespace
}  // namespace limpet::proto
