// What an HTTP/1 request needs on its connection, from the first byte of its head to the last one
// of its answer. Idle connections have none: the connection set lends it.
#pragma once

#include <cstdint>
#include <memory>

#include "proto/http1/chunked.h"
#include "proto/http1/framing.h"
#include "proto/http1/request_parser.h"
#include "worker/net/output_queue.h"
#include "worker/net/slice.h"

namespace limpet::worker {

struct Http1Turn {
  explicit Http1Turn(BlockPool& blocks) : out(blocks) {}
  void Clear() {  // of blocks, files and views, and of memory that few requests need
    parser.Reset();
    if (decoder != nullptr) decoder->Reset();
    body_block.Release();
    if (next_block) next_block.Reset();
    out.Clear();
  }

  proto::RequestParser parser;
  uint64_t begun_ms = 0;  // when the first bytes of its head had come, CLOCK_MONOTONIC

  // Of the request's body.
  proto::Framing framing;
  std::unique_ptr<proto::ChunkedDecoder> decoder;  // null before the first body in chunks
  ReadBlock body_block;
  uint64_t body_remaining = 0;  // of one with a length
  uint64_t body_received = 0;
  // The start of a pipelined request that came behind a chunked body, [next_begin, next_end).
  BlockRef next_block;
  size_t next_begin = 0;
  size_t next_end = 0;

  // Of the response.
  OutputQueue out;           // what the client has not taken yet
  uint64_t sent_before = 0;  // through `out`, by other responses
  uint64_t head_bytes = 0;
};

}  // namespace limpet::worker
