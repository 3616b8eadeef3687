#include "worker/http/proxy/upstream_request.h"

#include <cassert>
#include <cerrno>
#include <utility>

#include "proto/http1/chunked.h"

namespace limpet::worker {
namespace {

// Bytes that wait for a slow peer before the client has to wait, too.
constexpr size_t kHighWater = 64 * 1024;

}  // namespace

void UpstreamRequest::Enter(Half next) {
  assert(CanFollow(half_, next));
  half_ = next;
}

void UpstreamRequest::Plan(Body body) {
  Reset();
  body_ = body;
}

void UpstreamRequest::BeginAttempt() {
  assert(quiet());
  Enter(Half::kHead);
  closed_ = false;
  sent_before_ = out_.sent();
}

void UpstreamRequest::EndAttempt() {
  out_.Clear();
  if (chunk_ != nullptr) chunk_->pieces.clear();
}

void UpstreamRequest::Reset() {
  assert(quiet());
  if (chunk_ != nullptr) chunk_->joiner.Reset();
  half_ = Half::kHead;
  body_ = Body::kWhole;
  closed_ = false;
}

void UpstreamRequest::AppendWhole(const RequestBody& body) { body.AppendTo(&out_); }

void UpstreamRequest::Take(Slice piece) {
  if (body_ != Body::kChunked) return Queue(piece);
  if (chunk_ == nullptr) chunk_ = std::make_unique<Chunk>();
  std::vector<Slice>& pieces = chunk_->pieces;
  Slice* const last = pieces.empty() ? nullptr : &pieces.back();
  if (!chunk_->joiner.Join(blocks_, last, &piece)) pieces.push_back(std::move(piece));
}

void UpstreamRequest::EndOfPieces() {
  if (chunk_ != nullptr && !chunk_->pieces.empty()) QueueChunk();
}

void UpstreamRequest::Close() {
  closed_ = true;
  if (body_ != Body::kChunked) return;
  EndOfPieces();
  out_.Append("0\r\n\r\n");
}

void UpstreamRequest::Queue(const Slice& piece) {
  out_.AppendBlock(piece.block, static_cast<size_t>(piece.bytes.data() - piece.block.data()),
                   piece.bytes.size());
}

void UpstreamRequest::QueueChunk() {
  std::vector<Slice>& pieces = chunk_->pieces;
  uint64_t size = 0;
  for (const Slice& piece : pieces) size += piece.bytes.size();
  if (size == 0) return;
  char header[proto::kMaxChunkHeader];
  out_.Append({header, proto::ChunkHeader(header, size)});
  for (const Slice& piece : pieces) Queue(piece);
  out_.Append("\r\n");
  pieces.clear();
}

void UpstreamRequest::Finish() {
  if (half_ != Half::kDone) Enter(Half::kDone);
}

UpstreamRequest::Sent UpstreamRequest::Flush(Transport& transport) {
  const FlushResult result = out_.Flush(transport);
  if (result == FlushResult::kError) {
    if (transport.errnum() != EPIPE && transport.errnum() != ECONNRESET) return Sent::kFailed;
    out_.Clear();
    Finish();
    return Sent::kClosed;
  }
  if (result == FlushResult::kBlocked)
    return streams() && out_.size() >= kHighWater ? Sent::kFull : Sent::kBlocked;
  if (!closed_) return Sent::kSoFar;
  Finish();
  return Sent::kAll;
}

}  // namespace limpet::worker
