// A response head and its framing.
#include <cstdlib>
#include <string>

#include "proto/cookie.h"
#include "proto/http1/framing.h"
#include "proto/http1/response_parser.h"

using namespace limpet::proto;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string head(reinterpret_cast<const char*>(bytes), size);
  ResponseParser parser;
  if (parser.Parse(head.data(), head.size(), 4096) != HeadStatus::kComplete) return 0;
  if (parser.consumed() > head.size() || parser.head().status < 100) std::abort();
  ResponseFraming(Method::kGet, parser.head());
  FindSetCookie(parser.head().headers, "session");
  return 0;
}
