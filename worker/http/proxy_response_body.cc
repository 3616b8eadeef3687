// The response half of a proxied exchange, from its head on: the body on its way to the client, no
// faster than the client takes it and no more of it in memory than the buffers allow.
#include <algorithm>

#include "worker/http/exchange.h"
#include "worker/http/limit_rate.h"
#include "worker/http/proxy_exchange.h"
#include "worker/http/proxy_headers.h"
#include "worker/http/response_writer.h"
#include "worker/http/upstream_runtime.h"

namespace limpet::worker {
namespace {

// Bytes in memory for a slow client before the peer has to wait: what proxy_buffers allows, within
// reason.
constexpr size_t kMostInMemory = 64 * 1024;
constexpr size_t kLeastInMemory = 16 * 1024;

size_t HighWater(const conf::ProxySettings& proxy) {
  const size_t buffers = proxy.buffers_size * static_cast<size_t>(proxy.buffers_count);
  return std::clamp(buffers, kLeastInMemory, kMostInMemory);
}

}  // namespace

// A long body that nobody looks into moves from socket to socket inside the kernel. False: read it.
bool ProxyExchange::SpliceBody() {
  if (pipe_ == nullptr || exchange_.stream().has_unsent()) return false;
  size_t n = 0;
  switch (connection_.transport->SpliceTo(
      pipe_->write_end.get(), std::min<uint64_t>(remaining_, SplicePipe::kCapacity), &n)) {
    case Io::kOk:
      break;
    case Io::kWouldBlock:
      return true;
    case Io::kEof:
    case Io::kError:
      OnPeerEof();
      return true;
  }
  UpstreamAttempt& attempt = exchange_.upstream_trace().last();
  received_ += n;
  attempt.bytes_received += n;
  attempt.response_length += n;
  remaining_ -= n;
  exchange_.writer().WriteBodyPipe(pipe_->read_end, n);
  if (remaining_ == 0) {
    FinishResponse();
    return true;
  }
  exchange_.Flush();
  UpdateReading();
  return true;
}

void ProxyExchange::ReturnPipe() {
  if (pipe_ != nullptr) exchange_.runtime().pipes.Return(std::move(pipe_));
}

void ProxyExchange::ReadBody() {
  if (paused_) return;
  if (SpliceBody()) return;
  const bool is_short = framing_.kind == proto::BodyKind::kLength && remaining_ < 16000;
  const bool stays_in_memory = client_is_slow_ && !CanSpool();
  MakeRoom(is_short || stays_in_memory ? BlockSize::k16K : BlockSize::k64K);
  size_t n = 0;
  size_t limit = block_.capacity() - filled_;
  if (limit_rate_ > 0) limit = std::min<size_t>(limit, RateBudget());
  if (limit == 0 || !ReadMore(limit, &n)) {
    if (block_ && block_.unique()) block_.Reset();  // who waits holds no empty block
    return;
  }
  const std::string_view bytes(block_.data() + filled_, n);
  filled_ += n;
  OnBodyBytes(bytes);
  if (state_ == ProxyState::kIdle || response_half_ != Half::kBody) return;
  PassOn();
  UpdateReading();
}

// Behind what has been read, if that is still held; what trickles in must not hold a block for each
// read.
void ProxyExchange::MakeRoom(BlockSize size) {
  constexpr size_t kLeastRoom = 4096;
  if (block_ && block_.unique()) filled_ = 0;
  const bool is_free = !block_ || filled_ == 0;
  if (!is_free && block_.capacity() - filled_ >= kLeastRoom) return;
  if (is_free && block_ && block_.capacity() + 64 >= Bytes(size)) return;
  block_ = exchange_.runtime().blocks.Get(size);
  filled_ = 0;
}

// To the client. Without buffering it is not to wait for more: neither here nor in a filter.
void ProxyExchange::PassOn() {
  if (!buffering_) exchange_.writer().FlushBody();
  exchange_.Flush();
}

void ProxyExchange::OnBodyBytes(std::string_view bytes) {
  switch (framing_.kind) {
    case proto::BodyKind::kLength: {
      if (bytes.size() > remaining_) {
        LogUpstream(LogLevel::kWarn,
                    "upstream sent more data than specified in \"Content-Length\" header while "
                    "reading upstream",
                    0);
        bytes = bytes.substr(0, remaining_);
        keep_upstream_ = false;
      }
      remaining_ -= bytes.size();
      ForwardBody(bytes);
      if (remaining_ == 0 && state_ != ProxyState::kIdle) FinishResponse();
      return;
    }
    case proto::BodyKind::kChunked: {
      const auto status = decoder_.Feed(bytes);
      for (const std::string_view piece : decoder_.pieces()) ForwardBody(piece);
      if (status == proto::ChunkedDecoder::Status::kError) {
        LogUpstream(LogLevel::kError,
                    "upstream sent invalid chunked response while reading upstream", 0);
        return BreakResponse({});
      }
      if (status != proto::ChunkedDecoder::Status::kDone) return;
      if (decoder_.consumed() < bytes.size()) {
        LogUpstream(LogLevel::kWarn, "upstream sent data after final chunk while reading upstream",
                    0);
        keep_upstream_ = false;
      }
      FilterUpstreamTrailers(exchange_, decoder_.trailers());
      return FinishResponse();
    }
    default:
      return ForwardBody(bytes);
  }
}

// Towards the client; beyond the buffers into a temporary file, so that a slow client does not hold
// the peer.
void ProxyExchange::ForwardBody(std::string_view bytes) {
  if (is_websocket_ && LeaveTunnel(bytes)) return;
  ResponseWriter& writer = exchange_.writer();
  const conf::ProxySettings& proxy = location_->proxy;
  const bool may_spool = buffering_ && state_ != ProxyState::kTunnel &&
                         proxy.max_temp_file_size > 0 && !writer.is_filtered();
  const bool client_is_slow =
      spool_.size() > 0 || exchange_.stream().unsent_memory() + bytes.size() >
                               proxy.buffers_size * static_cast<size_t>(proxy.buffers_count);
  if (may_spool && client_is_slow && exchange_.stream().blocked() &&
      spool_.size() + bytes.size() <= proxy.max_temp_file_size) {
    if (spool_.size() == 0) {
      LogUpstream(LogLevel::kWarn,
                  "an upstream response is buffered to a temporary file while reading upstream", 0);
    }
    const uint64_t at = spool_.size();
    if (const Status written = spool_.Append(proxy.temp_path, bytes); written) {
      return writer.WriteBodyFile(spool_.file(), static_cast<off_t>(at), bytes.size());
    } else {
      exchange_.Log(LogLevel::kCrit, written.error().message);
    }
  }
  writer.WriteBody(block_, bytes);
}

uint64_t ProxyExchange::RateBudget() {
  return RateAllowance(limit_rate_, 0, exchange_.runtime().loop.NowMs() - body_started_ms_,
                       received_);
}

// As much of the response waits for the client as may.
bool ProxyExchange::ClientIsFull() const {
  const size_t most = CanSpool() ? 4 * kMostInMemory : HighWater(location_->proxy);
  return exchange_.writer().BodyHoldsBack() || exchange_.stream().unsent_memory() >= most;
}

bool ProxyExchange::CanSpool() const {
  return buffering_ && state_ == ProxyState::kTalking && !exchange_.writer().is_filtered() &&
         spool_.size() + kMostInMemory <= location_->proxy.max_temp_file_size;
}

void ProxyExchange::OnPeerEof() {
  if (response_half_ == Half::kHead) {
    return Fail(
        kConnectionFailed,
        "upstream prematurely closed connection while reading response header from upstream", 0);
  }
  if (state_ == ProxyState::kTunnel) return EndTunnel();
  if (framing_.kind == proto::BodyKind::kUntilClose) {
    keep_upstream_ = false;
    return FinishResponse();
  }
  LogUpstream(LogLevel::kError, "upstream prematurely closed connection while reading upstream", 0);
  BreakResponse({});
}

void ProxyExchange::FinishResponse() {
  Enter(&response_half_, Half::kDone);
  const bool request_done = request_half_ == Half::kDone && out_.empty() && body_complete_;
  const bool keep = keep_upstream_ && request_done && parser_.head().keep_alive() &&
                    framing_.kind != proto::BodyKind::kUntilClose;
  End(Outcome::kOk, keep);
  exchange_.writer().EndBody();
  exchange_.Complete();
}

void ProxyExchange::BreakResponse(std::string_view why) {
  Enter(&response_half_, Half::kDone);  // stop reading: the connection is gone
  if (!why.empty()) LogUpstream(LogLevel::kError, why, 0);
  End(Outcome::kOk);
  exchange_.Flush();  // what came is passed on; the end is missing, and the client sees that
  exchange_.AbandonAfterFlush();
}

}  // namespace limpet::worker
