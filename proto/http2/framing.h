// Where the body of a request over HTTP/2 ends: at END_STREAM, and a content-length must agree with
// the DATA that came (RFC 9113 8.1.1): else an upstream reads another length than we have sent.
#pragma once

#include <cstdint>

#include "proto/http1/framing.h"
#include "proto/http1/message.h"

namespace limpet::proto {

// `said`: what the head says by itself (RequestHeadBuilder::framing). `end_stream`: HEADERS had
// END_STREAM. kChunked stands for a length that nobody knows yet. kNone
// without END_STREAM (content-length 0) still has an end to come, which BodyCounter checks.
Framing StreamFraming(const RequestHead& head, const Framing& said, bool end_stream);

// DATA of one request against its content-length, padding not counted.
class BodyCounter {
 public:
  BodyCounter() = default;
  explicit BodyCounter(const Framing& framing)
      : left_(framing.length), counts_(framing.kind != BodyKind::kChunked) {}

  // False: more than content-length says (nginx: 400; RFC 9113: PROTOCOL_ERROR).
  [[nodiscard]] bool Add(uint64_t size) {
    if (!counts_) return true;
    if (size > left_) return false;
    left_ -= size;
    return true;
  }
  // At END_STREAM. False: less than content-length says.
  [[nodiscard]] bool AtEnd() const { return !counts_ || left_ == 0; }
  uint64_t left() const { return left_; }

 private:
  uint64_t left_ = 0;
  bool counts_ = true;  // false: no length was given
};

}  // namespace limpet::proto
