// A chunked body: read whole and byte by byte it must be the same.
#include <string>

#include "proto/http1/chunked.h"
#include "tests/fuzz/fuzz.h"

using limpet::proto::ChunkedDecoder;

namespace {

std::string Decode(const std::string& bytes, size_t step) {
  ChunkedDecoder decoder;
  std::string body;
  for (size_t at = 0; at < bytes.size() && !decoder.done(); at += step) {
    if (decoder.Feed(std::string_view(bytes).substr(at, step)) == ChunkedDecoder::Status::kError)
      return "error";
    for (const std::string_view piece : decoder.pieces()) body += piece;
  }
  return body + (decoder.done() ? "|done" : "|more");
}

}  // namespace

FUZZ_TARGET(chunked, input) {
  const std::string bytes(input);
  FUZZ_CHECK(Decode(bytes, 1) == Decode(bytes, bytes.size() + 1), "pieces are read otherwise");
}
