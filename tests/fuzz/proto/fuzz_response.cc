// A response head and its framing.
#include <string>

#include "proto/cookie.h"
#include "proto/http1/framing.h"
#include "proto/http1/response_parser.h"
#include "tests/fuzz/fuzz.h"

using namespace limpet::proto;

FUZZ_TARGET(response, input) {
  const std::string head(input);
  ResponseParser parser;
  if (parser.Parse(head.data(), head.size(), 4096) != HeadStatus::kComplete) return;
  FUZZ_CHECK(parser.consumed() <= head.size(), "the head ends behind the bytes");
  FUZZ_CHECK(parser.head().status >= 100 && parser.head().status <= 999, "a code has three digits");
  ResponseFraming(Method::kGet, parser.head());
  FindSetCookie(parser.head().headers, "session");
}
