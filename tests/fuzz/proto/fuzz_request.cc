// A request head and everything that is derived from it; the first byte chooses the limits.
#include <cstdlib>
#include <string>

#include "proto/cookie.h"
#include "proto/http1/framing.h"
#include "proto/http1/request_parser.h"
#include "proto/http1/request_rules.h"
#include "proto/target.h"

using namespace limpet::proto;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0) return 0;
  const HeadLimits limits{.max_line = 1024,
                          .max_total = 4096,
                          .max_headers = 16,
                          .ignore_invalid_headers = (bytes[0] & 1) != 0,
                          .underscores_in_headers = (bytes[0] & 2) != 0};
  const std::string head(reinterpret_cast<const char*>(bytes + 1), size - 1);
  RequestParser parser;
  if (parser.Parse(head.data(), head.size(), limits) != HeadStatus::kComplete) return 0;
  if (parser.consumed() > head.size()) std::abort();
  CheckRequest(parser.head());
  FindCookie(parser.head().headers, "session");
  std::string storage;
  Target target;
  if (!ParseTarget(parser.head().target, parser.head().method, true, &storage, &target)) return 0;
  if (target.form != TargetForm::kAsterisk && !target.uri.starts_with('/')) std::abort();
  if (target.uri.find("/../") != std::string_view::npos) std::abort();
  FindArgument(target.args, "a");
  return 0;
}
