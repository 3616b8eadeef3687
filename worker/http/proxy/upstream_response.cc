#include "worker/http/proxy/upstream_response.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

namespace limpet::worker {
namespace {

const proto::ResponseHead kNoHead;

// For a head of at most so many bytes, and some of what is behind it.
BlockSize BlockForHead(size_t max_head) {
  if (max_head <= 15'000) return BlockSize::k16K;
  return max_head <= 60'000 ? BlockSize::k64K : BlockSize::k256K;
}

}  // namespace

void UpstreamResponse::Enter(Half next) {
  assert(CanFollow(half_, next));
  half_ = next;
}

UpstreamResponse::UpstreamResponse(Spares<proto::ResponseParser>& parsers)
    : parsers_(parsers), head_(&kNoHead) {}

void UpstreamResponse::TakeParser() {
  parser_ = parsers_.Take();
  head_ = &parser_->head();
}

void UpstreamResponse::BeginAttempt() {
  Enter(Half::kHead);
  answer_ = Answer::kNone;
  if (parser_ != nullptr) parser_->Reset();
  framing_ = {};
  received_ = 0;
  filled_ = head_start_ = interim_ = 0;
  block_.Reset();
  head_block_.Reset();
}

void UpstreamResponse::EndAttempt() {
  if (answer_ == Answer::kUsed) answer_ = Answer::kHead;
}

void UpstreamResponse::BeginOther() {
  if (head_block_) earlier_heads_.push_back(std::move(head_block_));
  if (parser_ != nullptr || block_) ResetHead();  // there has been one
}

void UpstreamResponse::Reset() {
  ResetHead();
  earlier_heads_.clear();
}

void UpstreamResponse::ResetHead() {
  if (parser_ != nullptr) {
    parser_->Reset();
    parsers_.Return(std::move(parser_));
  }
  head_ = &kNoHead;
  if (decoder_ != nullptr) decoder_->Reset();
  block_.Reset();
  head_block_.Reset();
  filled_ = 0;
  framing_ = {};  // no trailers are known any more
  answer_ = Answer::kNone;
}

std::span<char> UpstreamResponse::RoomForHead(BlockPool& pool, size_t max_head, BlockSize first) {
  const BlockSize largest = BlockForHead(max_head);
  if (!block_) {
    const BlockSize usual = std::min(largest, BlockSize::k64K);
    block_ = pool.Get(first < BlockSize::k16K ? first : usual);
  }
  if (filled_ == block_.capacity()) {
    BlockRef larger = pool.Get(largest);
    std::memcpy(larger.data(), block_.data(), filled_);
    block_ = std::move(larger);
  }
  return {block_.data() + filled_, block_.capacity() - filled_};
}

// Behind what has been read, if that is still held; what trickles in must not hold a block for each
// read.
std::span<char> UpstreamResponse::RoomForBody(BlockPool& pool, BlockSize size) {
  constexpr size_t kLeastRoom = 4096;
  if (block_ && block_.unique()) filled_ = 0;
  const bool is_free = !block_ || filled_ == 0;
  const bool has_room = is_free ? block_ && block_.capacity() + 64 >= Bytes(size)
                                : block_.capacity() - filled_ >= kLeastRoom;
  if (!has_room) {
    block_ = pool.Get(size);
    filled_ = 0;
  }
  return {block_.data() + filled_, block_.capacity() - filled_};
}

std::string_view UpstreamResponse::Took(size_t n) {
  const std::string_view bytes(block_.data() + filled_, n);
  filled_ += static_cast<uint32_t>(n);
  received_ += n;
  comes_fast_ = filled_ == block_.capacity();
  return bytes;
}

void UpstreamResponse::ReleaseUnlessHead() {
  if (filled_ == 0) block_.Reset();
}

void UpstreamResponse::ReleaseUnlessUsed() {
  if (block_ && block_.unique()) block_.Reset();
}

UpstreamResponse::Parsed UpstreamResponse::ParseHead(size_t max_head) {
  if (parser_ == nullptr) TakeParser();
  if (parser_->head().is_interim() && parser_->consumed() > 0) {
    head_start_ += static_cast<uint32_t>(parser_->consumed());
    parser_->Reset();
    if (head_start_ == filled_) {
      head_start_ = filled_ = 0;
      return Parsed::kMore;
    }
  }
  switch (parser_->Parse(block_.data() + head_start_, filled_ - head_start_, max_head)) {
    case proto::HeadStatus::kIncomplete:
      return filled_ < block_.capacity() || block_.size() < BlockForHead(max_head)
                 ? Parsed::kMore
                 : Parsed::kTooBig;
    case proto::HeadStatus::kError:
      return Parsed::kError;
    case proto::HeadStatus::kComplete:
      break;
  }
  if (!parser_->head().is_interim()) return Parsed::kComplete;
  interim_ += static_cast<uint32_t>(parser_->consumed());
  return interim_ <= max_head ? Parsed::kInterim : Parsed::kTooBig;
}

void UpstreamResponse::HoldHead(const proto::Framing& framing) {
  head_block_ = block_;
  answer_ = Answer::kHead;
  framing_ = framing;
}

std::string_view UpstreamResponse::body_rest() const {
  const size_t begin = head_start_ + parser_->consumed();
  return {block_.data() + begin, filled_ - begin};
}

void UpstreamResponse::BeginBody() {
  Enter(Half::kBody);
  remaining_ = framing_.length;
  if (framing_.kind != proto::BodyKind::kChunked) return;
  if (decoder_ == nullptr) decoder_ = std::make_unique<proto::ChunkedDecoder>();
  decoder_->Reset();
}

UpstreamResponse::Taken UpstreamResponse::TakeBody(std::string_view bytes) {
  if (framing_.kind == proto::BodyKind::kChunked) return TakeChunks(bytes);
  piece_ = bytes;
  pieces_ = {&piece_, 1};
  if (framing_.kind != proto::BodyKind::kLength) return Taken::kMore;
  piece_ = bytes.substr(0, remaining_);
  remaining_ -= piece_.size();
  if (remaining_ > 0) return Taken::kMore;
  return piece_.size() == bytes.size() ? Taken::kDone : Taken::kDoneTooLong;
}

UpstreamResponse::Taken UpstreamResponse::TakeChunks(std::string_view bytes) {
  const auto status = decoder_->Feed(bytes);
  pieces_ = decoder_->pieces();
  switch (status) {
    case proto::ChunkedDecoder::Status::kMore:
      return Taken::kMore;
    case proto::ChunkedDecoder::Status::kError:
      return Taken::kBroken;
    case proto::ChunkedDecoder::Status::kDone:
      return decoder_->consumed() == bytes.size() ? Taken::kDone : Taken::kDoneTooLong;
  }
  return Taken::kBroken;
}

void UpstreamResponse::Spliced(uint64_t n) {
  received_ += n;
  remaining_ -= n;
}

const proto::HeaderList* UpstreamResponse::trailers() const {
  const bool has_come =
      framing_.kind == proto::BodyKind::kChunked && half_ != Half::kHead && decoder_->done();
  return has_come ? &decoder_->trailers() : nullptr;
}

bool UpstreamResponse::allows_next() const {
  return head().keep_alive() && framing_.kind != proto::BodyKind::kUntilClose;
}

}  // namespace limpet::worker
