#include "proto/http2/framing.h"

namespace limpet::proto {

Framing StreamFraming(const RequestHead& head, const Framing& said, bool end_stream) {
  if (!said.ok()) return said;
  if (end_stream) {
    if (said.kind == BodyKind::kNone) return {};
    return {.reason = "client prematurely closed stream", .status = 400};
  }
  const bool has_length = head.headers.Has(HeaderId::kContentLength);
  return has_length ? said : Framing{.kind = BodyKind::kChunked};
}

}  // namespace limpet::proto
