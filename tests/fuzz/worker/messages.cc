#include "tests/fuzz/worker/messages.h"

#include <optional>
#include <set>

#include "proto/http1/chunked.h"
#include "proto/http1/framing.h"
#include "proto/http1/request_parser.h"
#include "proto/http1/request_rules.h"
#include "proto/http1/response_parser.h"

namespace limpet::fuzz {
namespace {

using namespace limpet::proto;

// What is left behind a body; nothing if it is malformed. A body that breaks off leaves "".
std::optional<std::string_view> BehindBody(const Framing& framing, std::string_view rest) {
  if (!framing.ok()) return std::nullopt;
  switch (framing.kind) {
    case BodyKind::kNone:
      return rest;
    case BodyKind::kLength:
      return framing.length >= rest.size() ? "" : rest.substr(framing.length);
    case BodyKind::kChunked: {
      ChunkedDecoder decoder;
      if (decoder.Feed(rest) == ChunkedDecoder::Status::kError) return std::nullopt;
      return rest.substr(decoder.consumed());
    }
    case BodyKind::kUntilClose:
    case BodyKind::kTunnel:
      break;
  }
  return "";
}

class Responses {
 public:
  bool Read(std::string_view rest) {
    if (rest.empty()) return true;
    if (!failed_.insert(rest.size()).second) return false;
    ResponseParser parser;
    if (parser.Parse(rest.data(), rest.size(), rest.size()) != HeadStatus::kComplete) return false;
    const ResponseHead& head = parser.head();
    rest.remove_prefix(parser.consumed());
    if (head.is_interim()) return Read(rest);
    for (const Method method : {Method::kGet, Method::kHead}) {
      const auto behind = BehindBody(ResponseFraming(method, head), rest);
      if (behind && Read(*behind)) return true;
    }
    return false;
  }

 private:
  std::set<size_t> failed_;  // what is left behind places from which there is no way
};

}  // namespace

bool AreResponses(std::string_view bytes) { return Responses().Read(bytes); }

bool AreRequests(std::string_view rest) {
  while (!rest.empty()) {
    RequestParser parser;
    const HeadLimits limits{.max_line = 1 << 20, .max_total = 1 << 20, .max_headers = 1 << 12};
    const HeadStatus status = parser.Parse(rest.data(), rest.size(), limits);
    if (status != HeadStatus::kComplete) return status == HeadStatus::kIncomplete;
    rest.remove_prefix(parser.consumed());
    const auto behind = BehindBody(RequestFraming(parser.head()), rest);
    if (!behind) return false;
    rest = *behind;
  }
  return true;
}

}  // namespace limpet::fuzz
