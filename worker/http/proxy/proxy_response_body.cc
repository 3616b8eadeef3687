// The response half of a proxied exchange, from its head on: the body on its way to the client, no
// faster than the client takes it and no more of it in memory than the buffers allow.
#include <algorithm>

#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/response_writer.h"
#include "worker/http/filter/limit_rate.h"
#include "worker/http/proxy/proxy_exchange.h"
#include "worker/http/proxy/proxy_headers.h"
#include "worker/http/proxy/upstream_runtime.h"

namespace limpet::worker {
namespace {

// Bytes in memory for a slow client before the peer has to wait: what proxy_buffers allows, within
// reason.
constexpr size_t kMostInMemory = 64 * 1024;
constexpr size_t kLeastInMemory = 16 * 1024;
constexpr uint64_t kWorthALargeBlock = 128 * 1024;
// For a client that may have the rest in a file: a large block is not to keep that file away.
constexpr size_t kMostAhead = Bytes(BlockSize::k256K) + kMostInMemory;

size_t HighWater(const conf::ProxySettings& proxy) {
  const size_t buffers = proxy.buffers_size * static_cast<size_t>(proxy.buffers_count);
  return std::clamp(buffers, kLeastInMemory, kMostInMemory);
}

}  // namespace

bool ProxyExchange::MaySplice() const {
  constexpr uint64_t kWorthAPipe = 64 * 1024;
  return response_.kind() == proto::BodyKind::kLength && response_.remaining() >= kWorthAPipe &&
         !pace_.limited() && exchange_.writer().CanSplice() && attempt_.transport()->can_splice();
}

// A long body that nobody looks into moves from socket to socket inside the kernel. False: read it.
// What a client that has gone left in the pipe would fill it.
bool ProxyExchange::SpliceBody() {
  const ClientStream& stream = exchange_.stream();
  if (pipe_ == nullptr || stream.has_unsent() || !stream.can_splice()) return false;
  size_t n = 0;
  switch (attempt_.transport()->SpliceTo(
      pipe_->write_end.get(), std::min<uint64_t>(response_.remaining(), kMostInMemory), &n)) {
    case Io::kOk:
      break;
    case Io::kWouldBlock:
      return true;
    case Io::kEof:
      OnPeerEof();
      return true;
    case Io::kError:
      OnReadError();
      return true;
  }
  UpstreamAttempt& attempt = exchange_.upstream_trace().last();
  attempt.bytes_received += n;
  attempt.response_length += n;
  response_.Spliced(n);
  exchange_.writer().WriteBodyPipe(pipe_->read_end, n);
  if (response_.remaining() == 0) {
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
  if (pace_.paused()) return;
  if (SpliceBody()) return;
  const std::span<char> room = response_.RoomForBody(exchange_.runtime().blocks, BlockForBody());
  const size_t budget = std::min<uint64_t>(room.size(), pace_.Budget(BodyReceived()));
  const size_t n = budget > 0 ? ReadInto(room.first(budget)) : 0;
  if (n == 0) return response_.ReleaseUnlessUsed();
  if (state_ == ProxyState::kTalking) exchange_.upstream_trace().last().response_length += n;
  OnBodyBytes(response_.Took(n));
  if (!RowOf(state_).reads_peer() || response_.half() != Half::kBody) return;
  PassOn();
  UpdateReading();
}

BlockSize ProxyExchange::BlockForBody() const {
  const uint64_t left =
      response_.kind() == proto::BodyKind::kLength ? response_.remaining() : UINT64_MAX;
  const bool stays_in_memory = pace_.client_is_slow() && !CanSpool();
  if (left < 16000 || stays_in_memory) return BlockSize::k16K;
  return left >= kWorthALargeBlock && BothAreFast() ? BlockSize::k256K : BlockSize::k64K;
}

// Every read has its acknowledgement, whose way through the network layers costs more than the
// read.
bool ProxyExchange::BothAreFast() const {
  return response_.comes_fast() && !pace_.client_was_slow() && !pace_.limited() && CanSpool() &&
         !exchange_.writer().is_filtered() && exchange_.stream().unsent_memory() == 0;
}

uint64_t ProxyExchange::BodyReceived() const {
  return exchange_.upstream_trace().last().response_length;
}

// To the client. Without buffering it is not to wait for more: neither here nor in a filter.
void ProxyExchange::PassOn() {
  if (!buffering_) exchange_.writer().FlushBody();
  exchange_.Flush();
}

void ProxyExchange::OnBodyBytes(std::string_view bytes) {
  using Taken = UpstreamResponse::Taken;
  const Taken taken = response_.TakeBody(bytes);
  if (taken == Taken::kDoneTooLong) OnExcess();
  for (const std::string_view piece : response_.pieces()) ForwardBody(piece);
  if (state_ == ProxyState::kIdle) return;  // that was the last of a tunnel
  switch (taken) {
    case Taken::kMore:
      return;
    case Taken::kBroken:
      LogUpstream(LogLevel::kError, "upstream sent invalid chunked response while reading upstream",
                  0);
      return BreakResponse();
    case Taken::kDone:
    case Taken::kDoneTooLong:
      if (const proto::HeaderList* trailers = response_.trailers())
        FilterUpstreamTrailers(exchange_, *trailers);
      return FinishResponse();
  }
}

void ProxyExchange::OnExcess() {
  const bool chunked = response_.kind() == proto::BodyKind::kChunked;
  LogUpstream(LogLevel::kWarn,
              chunked ? "upstream sent data after final chunk while reading upstream"
                      : "upstream sent more data than specified in \"Content-Length\" header "
                        "while reading upstream",
              0);
  attempt_.Spoil();
}

// If the drain of the server is over: what ends a frame, and the connection.
std::optional<size_t> ProxyExchange::LastBytes(std::string_view bytes) {
  return drain_end_ != nullptr ? drain_end_->LastBytes(bytes) : std::nullopt;
}

// Towards the client; beyond the buffers into a temporary file, so that a slow client does not hold
// the peer. As in nginx that is in front of the filters: what they make of it takes no room.
void ProxyExchange::ForwardBody(std::string_view bytes) {
  ResponseWriter& writer = exchange_.writer();
  if (const auto last = LastBytes(bytes)) {
    writer.WriteBody(response_.block(), bytes.substr(0, *last));
    return OnDrainOver();
  }
  if (state_ == ProxyState::kTunnel || !Spool(bytes)) writer.WriteBody(response_.block(), bytes);
}

bool ProxyExchange::Spool(std::string_view bytes) {
  if (!exchange_.stream().blocked() || !MaySpool()) return false;
  const conf::ProxySettings& proxy = location_->proxy;
  ResponseWriter& writer = exchange_.writer();
  const bool client_is_slow = writer.BodyHoldsBack() || spool_.size() > 0 ||
                              exchange_.stream().unsent_memory() + bytes.size() >
                                  proxy.buffers_size * static_cast<size_t>(proxy.buffers_count);
  const bool fits = spool_.size() + bytes.size() <= proxy.max_temp_file_size;
  if (!fits || !client_is_slow) return false;
  if (spool_.size() == 0) {
    LogUpstream(LogLevel::kWarn,
                "an upstream response is buffered to a temporary file while reading upstream", 0);
  }
  const uint64_t at = spool_.size();
  if (const Status written = spool_.Append(proxy.temp_path, bytes); !written) {
    exchange_.Log(LogLevel::kCrit, written.error().message);
    cannot_spool_ = true;
    return false;
  }
  writer.WriteBodyFile(spool_.file(), static_cast<off_t>(at), bytes.size());
  return true;
}

// As much of the response waits for the client as may.
bool ProxyExchange::ClientIsFull() const {
  const bool spools = CanSpool();
  const size_t most = spools ? kMostAhead : HighWater(location_->proxy);
  if (exchange_.stream().unsent_memory() >= most) return true;
  return exchange_.writer().BodyHoldsBack() && !(spools && exchange_.stream().blocked());
}

// A pipe is filled again when it is empty.
bool ProxyExchange::ClientIsBehind() const {
  const ClientStream& stream = exchange_.stream();
  return stream.blocked() || (pipe_ != nullptr && stream.has_unsent());
}

bool ProxyExchange::MaySpool() const { return buffering_ && !cannot_spool_; }

bool ProxyExchange::CanSpool() const {
  return MaySpool() && state_ != ProxyState::kTunnel &&
         spool_.size() + kMostInMemory <= location_->proxy.max_temp_file_size;
}

void ProxyExchange::OnPeerEof() {
  if (response_.half() == Half::kHead) {
    return Fail(
        kConnectionFailed,
        "upstream prematurely closed connection while reading response header from upstream", 0);
  }
  if (state_ == ProxyState::kTunnel) return EndTunnel();
  if (response_.kind() == proto::BodyKind::kUntilClose) return FinishResponse();
  LogUpstream(LogLevel::kError, "upstream prematurely closed connection while reading upstream", 0);
  BreakResponse();
}

void ProxyExchange::FinishResponse() {
  response_.End();
  attempt_.KeepIf(request_.all_sent() && response_.allows_next());
  End(Outcome::kOk);
  exchange_.writer().EndBody();
  exchange_.Complete();
}

void ProxyExchange::BreakResponse() {
  response_.End();  // stop reading: the connection is gone
  End(Outcome::kOk);
  exchange_.writer().FlushBody();  // what came is passed on; the end is missing, as the client sees
  exchange_.Flush();
  exchange_.AbandonAfterFlush();
}

}  // namespace limpet::worker
