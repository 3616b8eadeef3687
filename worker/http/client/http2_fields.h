// Heads of responses as HTTP/2 has them: names in lower case, no fields of the hop, the status as a
// pseudo-field (RFC 9113 8.3.2). nghttp2 copies what it is given.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <memory_resource>

#include "proto/http1/message.h"
#include "worker/http/exchange/response_head.h"

namespace limpet::worker {

class Http2Stream;

// `has_body`: the stream will be asked for it; else the head is the end.
void SubmitHead(nghttp2_session* session, Http2Stream& stream, const ResponseHead& head,
                bool has_body);
void SubmitInterim(nghttp2_session* session, int32_t id, int status,
                   const proto::HeaderList& fields);
void SubmitTrailers(nghttp2_session* session, int32_t id, const proto::HeaderList& trailers);

// The key that HTTP/1.1 asks for in a WebSocket's handshake, which HTTP/2 has not (RFC 8441 5.1).
void AddWebSocketKey(proto::RequestHead* head, std::pmr::memory_resource* memory);

}  // namespace limpet::worker
