// A chunked body: read whole and byte by byte it must be the same.
#include <cstdlib>
#include <string>

#include "proto/http1/chunked.h"

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

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  if (Decode(bytes, 1) != Decode(bytes, bytes.size() + 1)) std::abort();
  return 0;
}
