// Responses as HTTP/1.1 writes them (RFC 9112): heads, chunks, trailers, into an output queue. Pure
// but for the queue.
#pragma once

#include <cstdint>
#include <string_view>

#include "worker/http/exchange/response_head.h"
#include "worker/net/output_queue.h"

namespace limpet::worker::http1 {

void WriteHead(const ResponseHead& head, bool keep_alive, OutputQueue* out);
void WriteInterim(int status, const proto::HeaderList& fields, OutputQueue* out);

// A chunk is its header, its bytes, and what ends it.
void BeginChunk(uint64_t size, OutputQueue* out);
void EndChunk(OutputQueue* out);
void WriteLastChunk(const proto::HeaderList& trailers, OutputQueue* out);

}  // namespace limpet::worker::http1
