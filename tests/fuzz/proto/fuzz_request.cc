// A request head and everything that is derived from it; the first byte chooses the limits.
#include <string>

#include "proto/cookie.h"
#include "proto/http1/framing.h"
#include "proto/http1/request_parser.h"
#include "proto/http1/request_rules.h"
#include "proto/target.h"
#include "tests/fuzz/fuzz.h"

using namespace limpet::proto;

FUZZ_TARGET(request, input) {
  if (input.empty()) return;
  const HeadLimits limits{.max_line = 1024,
                          .max_total = 4096,
                          .max_headers = 16,
                          .ignore_invalid_headers = (input[0] & 1) != 0,
                          .underscores_in_headers = (input[0] & 2) != 0};
  const std::string head(input.substr(1));
  RequestParser parser;
  if (parser.Parse(head.data(), head.size(), limits) != HeadStatus::kComplete) return;
  FUZZ_CHECK(parser.consumed() <= head.size(), "the head ends behind the bytes");
  CheckRequest(parser.head(), RequestFraming(parser.head()));
  FindCookie(parser.head().headers, "session");
  std::string storage;
  Target target;
  if (!ParseTarget(parser.head().target, parser.head().method, true, &storage, &target)) return;
  FUZZ_CHECK(target.form == TargetForm::kAsterisk || target.uri.starts_with('/'),
             "a URI begins with a slash");
  FUZZ_CHECK(target.uri.find("/../") == std::string_view::npos, "a URI climbs");
  FindArgument(target.args, "a");
}
