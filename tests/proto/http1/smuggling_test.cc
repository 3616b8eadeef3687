// Attacks on where a message ends and what it says (RFC 9112 2.2, 3.2, 5, 6, 7): each is either
// refused, or read in exactly one way. The last column is what limpet makes of the bytes.
#include <gtest/gtest.h>

#include <string>

#include "proto/http1/chunked.h"
#include "proto/http1/framing.h"
#include "proto/http1/request_parser.h"
#include "proto/http1/request_rules.h"

namespace limpet::proto {
namespace {

using namespace std::string_literals;

std::string ReadChunks(const std::string& bytes) {
  ChunkedDecoder decoder;
  switch (decoder.Feed(bytes)) {
    case ChunkedDecoder::Status::kError:
      return "bad chunk";
    case ChunkedDecoder::Status::kMore:
      return "more";
    case ChunkedDecoder::Status::kDone:
      break;
  }
  std::string body = "chunked:";
  for (const std::string_view piece : decoder.pieces()) body += piece;
  return body + " rest:" + bytes.substr(decoder.consumed());
}

// Status if refused, else the body and what is left for the next request.
std::string Read(const std::string& bytes) {
  RequestParser parser;
  const HeadStatus status = parser.Parse(bytes.data(), bytes.size(), {});
  if (status == HeadStatus::kError) return std::to_string(parser.error().status);
  if (status == HeadStatus::kIncomplete) return "more";
  const Framing framing = RequestFraming(parser.head());
  const HeadError error = CheckRequest(parser.head(), framing);
  if (error.status != 0) return std::to_string(error.status);
  const std::string rest = bytes.substr(parser.consumed());
  if (framing.kind == BodyKind::kChunked) return ReadChunks(rest);
  return "body:" + rest.substr(0, framing.length) +
         " rest:" + rest.substr(std::min(rest.size(), framing.length));
}

struct Case {
  const char* what;
  std::string bytes;
  std::string result;
};

void Check(const std::vector<Case>& cases) {
  for (const Case& c : cases) EXPECT_EQ(Read(c.bytes), c.result) << c.what;
}

const std::string kPost = "POST / HTTP/1.1\r\nHost: a\r\n";
const std::string kTe = "Transfer-Encoding: chunked\r\n";
const std::string kCl = "Content-Length: 4\r\n";

TEST(Smuggling, Lengths) {
  Check({
      {"CL", kPost + kCl + "\r\nabcdX", "body:abcd rest:X"},
      {"TE", kPost + kTe + "\r\n1\r\na\r\n0\r\n\r\nX", "chunked:a rest:X"},
      {"CL.TE", kPost + kCl + kTe + "\r\n0\r\n\r\n", "400"},
      {"TE.CL", kPost + kTe + kCl + "\r\n0\r\n\r\n", "400"},
      {"CL.CL same", kPost + kCl + kCl + "\r\nabcd", "400"},
      {"CL.CL different", kPost + kCl + "Content-Length: 5\r\n\r\nabcd", "400"},
      {"CL list", kPost + "Content-Length: 4, 4\r\n\r\nabcd", "400"},
      {"CL plus", kPost + "Content-Length: +4\r\n\r\nabcd", "400"},
      {"CL negative", kPost + "Content-Length: -4\r\n\r\nabcd", "400"},
      {"CL hexadecimal", kPost + "Content-Length: 0x4\r\n\r\nabcd", "400"},
      {"CL empty", kPost + "Content-Length: \r\n\r\nabcd", "400"},
      {"CL with space inside", kPost + "Content-Length: 4 4\r\n\r\nabcd", "400"},
      {"CL overflow", kPost + "Content-Length: 18446744073709551620\r\n\r\nabcd", "400"},
      {"CL leading zeros", kPost + "Content-Length: 004\r\n\r\nabcdX", "body:abcd rest:X"},
      {"CL padded", kPost + "Content-Length:   4  \r\n\r\nabcdX", "body:abcd rest:X"},
      {"CL padded with tabs", kPost + "Content-Length: \t4\t\r\n\r\nabcd",
       "400"},  // llhttp and nginx
      {"TE twice", kPost + kTe + kTe + "\r\n0\r\n\r\n", "400"},
      {"TE identity", kPost + "Transfer-Encoding: identity\r\n\r\n", "501"},
      {"TE gzip, chunked", kPost + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501"},
      {"TE chunked, identity", kPost + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
       "501"},
      {"TE xchunked", kPost + "Transfer-Encoding: xchunked\r\n\r\n", "501"},
      {"TE empty", kPost + "Transfer-Encoding:\r\n\r\n", "501"},
      {"TE quoted", kPost + "Transfer-Encoding: \"chunked\"\r\n\r\n", "501"},
      {"TE vertical tab", kPost + "Transfer-Encoding: \vchunked\r\n\r\n", "400"},
      {"TE in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\n" + kTe + "\r\n0\r\n\r\n", "400"},
      {"TE folded", kPost + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", "400"},
      {"no length", kPost + "\r\nGET", "body: rest:GET"},
  });
}

TEST(Smuggling, NamesOfLengths) {
  Check({
      {"TE space before colon", kPost + "Transfer-Encoding : chunked\r\n\r\n", "400"},
      {"TE tab before colon", kPost + "Transfer-Encoding\t: chunked\r\n\r\n", "400"},
      {"TE space before name", kPost + " Transfer-Encoding: chunked\r\n\r\n", "400"},
      {"TE on the first line", "POST / HTTP/1.1\r\n Transfer-Encoding: chunked\r\nHost: a\r\n\r\n",
       "400"},
      {"TE NUL in name", kPost + "Transfer\0-Encoding: chunked\r\n\r\n"s, "400"},
      {"TE hidden by CR", kPost + "X: y\rTransfer-Encoding: chunked\r\n\r\n", "400"},
      {"TE hidden behind empty value", kPost + "X:\rTransfer-Encoding: chunked\r\n\r\n", "400"},
      {"TE hidden by LF", kPost + "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       "chunked: rest:"},
      {"TE hidden by LF with CL", kPost + kCl + "X: y\nTransfer-Encoding: chunked\r\n\r\n", "400"},
      {"underscore for dash is not a length", kPost + "Content_Length: 4\r\n\r\nabcd",
       "body: rest:abcd"},
      {"CL behind an ignored line", kPost + "x.y: z\r\n" + kCl + "\r\nabcdX", "body:abcd rest:X"},
      {"CL in an ignored line", kPost + "x.y: z\n" + kCl + "\r\nabcdX", "body:abcd rest:X"},
      {"no colon", kPost + "Transfer-Encoding chunked\r\n\r\n", "400"},
      {"no name", kPost + ": chunked\r\n\r\n", "400"},
      {"8-bit dash", kPost + "Content\xADLength: 4\r\n\r\nabcd", "body: rest:abcd"},
  });
}

TEST(Smuggling, LinesAndHosts) {
  Check({
      {"empty line before", "\r\n" + kPost + kCl + "\r\nabcd", "body:abcd rest:"},
      {"space before the first header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400"},
      {"CR as line end of the request line", "GET / HTTP/1.1\rHost: a\r\n\r\n", "400"},
      {"CR as line end of a header", "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", "400"},
      {"CR CR LF ends no head", "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n\r\n", "400"},
      {"LF LF ends a head", "GET / HTTP/1.1\nHost: a\n\nX", "body: rest:X"},
      {"NUL in a value", "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n"s, "400"},
      {"no host", "GET / HTTP/1.1\r\n\r\n", "400"},
      {"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400"},
      {"two hosts in other case", "GET / HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n", "400"},
      {"two requests", "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2", "body: rest:GET /2"},
      {"two versions", "GET / HTTP/1.1 HTTP/1.0\r\nHost: a\r\n\r\n", "400"},
      {"space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
      {"obs-fold", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", "400"},
      {"obs-fold of nothing", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n \r\n\r\n", "400"},
      {"HTTP/0.9 with a body", "POST /\r\n\r\nabc", "400"},
  });
}

TEST(Smuggling, Chunks) {
  const std::string head = kPost + kTe + "\r\n";
  Check({
      {"LF behind the size", head + "1\na\r\n0\r\n\r\n", "bad chunk"},
      {"LF behind the data", head + "1\r\na\n0\r\n\r\n", "bad chunk"},
      {"LF in an extension", head + "1;\nxx\r\n0\r\n\r\n", "bad chunk"},
      {"CR in an extension", head + "1;\rxx\r\n0\r\n\r\n", "bad chunk"},
      {"LF behind the last size", head + "0\n\r\n", "bad chunk"},
      {"LF for the last line", head + "0\r\n\n", "bad chunk"},
      {"blanks behind a size", head + "1 \t\r\nc\r\n0  \r\n\r\nX", "chunked:c rest:X"},
      {"blanks and extensions", head + "1 ; a = \"b c\" ;d\r\nc\r\n0\r\n\r\nX", "chunked:c rest:X"},
      {"another size behind a blank", head + "1 1\r\nc\r\n0\r\n\r\n", "bad chunk"},
      {"a blank alone", head + " \r\nc\r\n0\r\n\r\n", "bad chunk"},
      {"extension", head + "1;a=b\r\nc\r\n0;d\r\n\r\nX", "chunked:c rest:X"},
      {"no digits", head + ";a=b\r\nc\r\n0\r\n\r\n", "bad chunk"},
      {"overflow", head + "10000000000000001\r\na\r\n0\r\n\r\n", "bad chunk"},
      {"sign", head + "+1\r\na\r\n0\r\n\r\n", "bad chunk"},
      {"prefix", head + "0x1\r\na\r\n0\r\n\r\n", "bad chunk"},
      {"underscore", head + "1_0\r\na\r\n0\r\n\r\n", "bad chunk"},
      {"data longer than its size", head + "1\r\nab\r\n0\r\n\r\n", "bad chunk"},
      {"data shorter than its size", head + "3\r\nab\r\n0\r\n\r\n", "bad chunk"},
      {"trailer with lengths", head + "0\r\nContent-Length: 5\r\n\r\nX", "chunked: rest:X"},
      {"trailer with bare CR", head + "0\r\nA: b\rC: d\r\n\r\n", "bad chunk"},
      {"trailer folded", head + "0\r\nA: b\r\n c\r\n\r\n", "bad chunk"},
  });
}

}  // namespace
}  // namespace limpet::proto
