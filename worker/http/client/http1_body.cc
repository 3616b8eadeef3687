// Request bodies of an HTTP/1 connection: taken out of their framing and handed on, or read to
// their end and dropped.
#include <algorithm>

#include "worker/http/client/client_closed.h"
#include "worker/http/client/connection_set.h"
#include "worker/http/client/http1_connection.h"

namespace limpet::worker {
void Http1Connection::WantBody(bool wanted) {
  if (body_ != Body::kDone) body_ = wanted ? Body::kWanted : Body::kHeld;
  if (!wanted) return UpdateReading();
  if (delivering_) return;
  DeliverBuffered();
  UpdateReading();
}

void Http1Connection::UpdateReading() {
  if (!IsServing()) return;
  const bool reads = body_ == Body::kWanted;
  transport_.WantRead(reads);
  if (reads && !IsTunnel()) {
    connection_.timer().Arm(settings().body_timeout);
  } else {
    connection_.timer().Disarm();
  }
}

void Http1Connection::SendContinue() {
  if (continue_ != Continue::kAsked || (body_ != Body::kDone && buffered() > 0)) return;
  continue_ = Continue::kSent;
  SendInterim(100, {});
}

void Http1Connection::DeliverBuffered() {
  if (buffered() == 0) return;  // no data, so no pause either: it would ask again and recurse
  while (IsServing() && body_ == Body::kWanted && buffered() > 0) {
    const size_t used = ConsumeBody(block_, {block_.data() + begin_, buffered()});
    begin_ += used;
    if (used == 0) break;
  }
  if (IsServing() && body_ != Body::kDone) exchange_->OnBodyPause();
}

// Small at first: most bodies are, and one that trickles in is not to cost more than it is.
BlockSize Http1Connection::BodyBlock() const {
  const bool by_length = turn_->framing.kind == proto::BodyKind::kLength;
  if (by_length && turn_->body_remaining <= 4000) return BlockSize::k4K;
  return body_comes_fast_ ? BlockSize::k64K : BlockSize::k16K;
}

void Http1Connection::ReadBody() {
  if (body_ != Body::kWanted) return transport_.WantRead(false);
  const bool by_length = turn_->framing.kind == proto::BodyKind::kLength;
  const std::span<char> room = turn_->body_block.Room(runtime_.blocks, BodyBlock());
  const size_t limit =
      by_length ? std::min<uint64_t>(turn_->body_remaining, room.size()) : room.size();
  size_t n = 0;
  switch (transport_.Read(room.data(), limit, &n)) {
    case Io::kOk:
      break;
    case Io::kWouldBlock:
      return turn_->body_block.ReleaseUnlessUsed();
    case Io::kEof:
      if (IsTunnel()) return BodyEnded();
      [[fallthrough]];
    case Io::kError:
      if (state_ == State::kAnswered) return LoseClient();
      if (IsTunnel()) return exchange_->OnClientGone();
      exchange_->Log(LogLevel::kInfo, ClosedEarly(transport_));
      return exchange_->Abandon(400);
  }
  body_comes_fast_ = n == room.size();
  TakeBody(turn_->body_block.Took(n));
  UpdateReading();
}

void Http1Connection::TakeBody(Slice read) {
  const size_t used = ConsumeBody(read.block, read.bytes);
  if (IsServing() && body_ != Body::kDone) return exchange_->OnBodyPause();
  turn_->body_block.Release();
  if (used == read.bytes.size() || !IsServing()) return;
  // A pipelined request behind a chunked body.
  turn_->next_begin = static_cast<size_t>(read.bytes.data() - read.block.data()) + used;
  turn_->next_end = turn_->next_begin + read.bytes.size() - used;
  turn_->next_block = std::move(read.block);
}

// Takes the body's part of `bytes` and hands it on; how many bytes that were.
size_t Http1Connection::ConsumeBody(const BlockRef& block, std::string_view bytes) {
  delivering_ = true;
  Request& request = exchange_->request();
  const uint64_t before = request.body_received;
  if (!IsTunnel()) request.body_received += bytes.size();  // $request_length counts framing, too
  size_t used = bytes.size();
  if (IsTunnel()) {
    Hand(block, bytes);
  } else if (turn_->framing.kind == proto::BodyKind::kChunked) {
    used = ConsumeChunked(block, bytes);
  } else {
    used = std::min<uint64_t>(bytes.size(), turn_->body_remaining);
    turn_->body_remaining -= used;
    if (Hand(block, bytes.substr(0, used)) && turn_->body_remaining == 0) BodyEnded();
  }
  delivering_ = false;
  if (exchange_ != nullptr && IsServing() && used < bytes.size())
    request.body_received = before + used;  // the rest belongs to the next request
  return used;
}

size_t Http1Connection::ConsumeChunked(const BlockRef& block, std::string_view bytes) {
  const auto status = turn_->decoder->Feed(bytes);
  uint64_t size = turn_->decoder->announced();
  for (const std::string_view piece : turn_->decoder->pieces()) size += piece.size();
  if (status != proto::ChunkedDecoder::Status::kError && RefusesBody(size)) return bytes.size();
  for (const std::string_view piece : turn_->decoder->pieces()) {
    if (!Hand(block, piece)) return bytes.size();
  }
  if (status == proto::ChunkedDecoder::Status::kError) {
    body_ = Body::kDone;
    exchange_->Log(LogLevel::kError, "client sent invalid chunked body");
    exchange_->OnBodyError(400);
    return bytes.size();
  }
  if (status == proto::ChunkedDecoder::Status::kDone) BodyEnded();
  return turn_->decoder->consumed();
}

// True, and the client is told, if `more` bytes behind those that have come are too many. A body of
// known length has been judged by its head.
bool Http1Connection::RefusesBody(uint64_t more) {
  const uint64_t limit = settings().max_body_size;
  if (limit == 0 || more == 0 || turn_->body_received + more <= limit) return false;
  body_ = Body::kHeld;
  exchange_->Log(LogLevel::kError,
                 fmt::format("client intended to send too large chunked body: {}+{} bytes",
                             turn_->body_received, more));
  exchange_->OnBodyError(413);
  return true;
}

// False if the exchange no longer takes it.
bool Http1Connection::Hand(const BlockRef& block, std::string_view bytes) {
  if (bytes.empty()) return true;
  turn_->body_received += bytes.size();
  exchange_->OnBodyData({block, bytes});
  return IsServing();
}

bool Http1Connection::DropBufferedBody() {
  if (body_ != Body::kHeld || buffered() == 0) return true;
  if (turn_->framing.kind != proto::BodyKind::kChunked) {
    begin_ += DropBody({block_.data() + begin_, buffered()});
    return true;
  }
  const auto status = turn_->decoder->Feed({block_.data() + begin_, buffered()});
  begin_ += turn_->decoder->consumed();
  if (status != proto::ChunkedDecoder::Status::kMore) body_ = Body::kDone;
  return status != proto::ChunkedDecoder::Status::kError;
}

void Http1Connection::BodyEnded() {
  body_ = Body::kDone;
  UpdateReading();
  exchange_->OnBodyEnd();
}

void Http1Connection::StartTunnel() {
  turn_->framing = {.kind = proto::BodyKind::kTunnel};
  body_ = Body::kHeld;
  keep_alive_ = false;
}

void Http1Connection::Drain() {
  linger_.Begin(*last_settings_, runtime_.loop.NowMs());
  Enter(State::kDrain);
  body_ = Body::kHeld;
  if (buffered() == 0) return;
  begin_ += DropBody({block_.data() + begin_, buffered()});
  if (state_ == State::kDrain && body_ == Body::kDone) BeginHead();
}

// Skips the body's part of what has come; a broken one ends the connection.
size_t Http1Connection::DropBody(std::string_view bytes) {
  if (turn_->framing.kind != proto::BodyKind::kChunked) {
    const size_t used = std::min<uint64_t>(bytes.size(), turn_->body_remaining);
    turn_->body_remaining -= used;
    if (turn_->body_remaining == 0) body_ = Body::kDone;
    return used;
  }
  const auto status = turn_->decoder->Feed(bytes);
  if (status == proto::ChunkedDecoder::Status::kError) {
    Close(false);
    return bytes.size();
  }
  if (status == proto::ChunkedDecoder::Status::kDone) body_ = Body::kDone;
  return turn_->decoder->consumed();
}

// To close while something is unread is to reset the connection: the client loses what it has not
// read yet of the response. With TLS that may be words of TLS alone, as a change of keys.
bool Http1Connection::MustLinger() const {
  using Lingering = conf::ClientSettings::Lingering;
  if (last_settings_->lingering_close != Lingering::kOn)
    return last_settings_->lingering_close == Lingering::kAlways;
  return body_ != Body::kDone || buffered() > 0 || transport_.HasUnread();
}

void Http1Connection::Linger() {
  if (!MustLinger()) return Close(false);
  linger_.Begin(*last_settings_, runtime_.loop.NowMs());
  Enter(State::kLinger);
  begin_ = end_ = 0;
  transport_.ShutdownWrite();
}

void Http1Connection::ReadAndDrop() {
  BlockRef block = runtime_.blocks.Get(BlockSize::k16K);
  size_t n = 0;
  const Io io = state_ == State::kLinger
                    ? connection_.ReadUnseen(block.data(), block.capacity(), &n)
                    : transport_.Read(block.data(), block.capacity(), &n);
  if (io == Io::kWouldBlock) return;
  if (io != Io::kOk || linger_.over(runtime_.loop.NowMs())) return Close(false);
  ArmDeadline();
  if (state_ == State::kLinger) return;
  const size_t used = DropBody({block.data(), n});
  if (state_ != State::kDrain || body_ != Body::kDone) return;
  turn_->next_block = std::move(block);
  turn_->next_begin = used;
  turn_->next_end = n;
  BeginHead();
  ProcessInput();
}

}  // namespace limpet::worker
