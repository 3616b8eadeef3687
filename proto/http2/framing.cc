#include "proto/http2/framing.h"

namespace limpet::proto {

Framing StreamFraming(const RequestHead& head, const Framing& said, bool end_stream) {
  if (!said.ok()) return said;
  if (end_stream) {
    if (said.kind == BodyKind::kNone) return {};
    return {BodyKind::kNone, 0, 400, "client prematurely closed stream"};
  }
  const bool has_length = head.headers.Has(HeaderId::kContentLength);
  return has_length ? said : Framing{BodyKind::kChunked, 0, 0, {}};
}

}  // namespace limpet::proto
