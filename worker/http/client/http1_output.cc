// The response's way to the client of an HTTP/1 connection: as fast as it takes it, or as it may.
#include <algorithm>
#include <cerrno>

#include "base/prefetch.h"
#include "worker/http/client/client_closed.h"
#include "worker/http/client/connection_set.h"
#include "worker/http/client/http1_connection.h"
#include "worker/http/client/http1_writer.h"
#include "worker/http/exchange/file_cut.h"
#include "worker/http/filter/limit_rate.h"

namespace limpet::worker {

void Http1Connection::Fetch() const {
  Prefetch(this);
  Prefetch(&connection_);
  Prefetch(&transport_);
  Prefetch(turn_.get());
}

void Http1Connection::BeginResponse() {
  turn_->sent_before = turn_->out.sent();
  turn_->head_bytes = 0;
  chunks_ = lost_ = false;
}

// What came before the response may still have to go.
uint64_t Http1Connection::bytes_sent() const {
  const uint64_t sent = turn_->out.sent();
  return sent - std::min(sent, turn_->sent_before);
}

void Http1Connection::SendInterim(int status, const proto::HeaderList& fields) {
  const uint64_t before = turn_->out.size();
  http1::WriteInterim(status, fields, &turn_->out);
  turn_->sent_before += turn_->out.size() - before;  // no part of the response
  process_.Schedule();
}

void Http1Connection::SendHead(const ResponseHead& head) {
  if (exchange_->request().head->is_http09()) return LastForClient();
  const uint64_t before = turn_->out.size();
  http1::WriteHead(head, keep_alive(), &turn_->out);
  turn_->head_bytes = turn_->out.size() - before;
  chunks_ = head.chunked;
}

void Http1Connection::Write(BlockRef block, std::string_view bytes) {
  if (chunks_) http1::BeginChunk(bytes.size(), &turn_->out);
  if (block) {
    const auto offset = static_cast<size_t>(bytes.data() - block.data());
    turn_->out.AppendBlock(std::move(block), offset, bytes.size());
  } else {
    turn_->out.Append(bytes);
  }
  if (chunks_) http1::EndChunk(&turn_->out);
}

void Http1Connection::WriteFile(std::shared_ptr<const UniqueFd> file, off_t offset, uint64_t size) {
  if (chunks_) http1::BeginChunk(size, &turn_->out);
  turn_->out.AppendFile(std::move(file), offset, size);
  if (chunks_) http1::EndChunk(&turn_->out);
}

void Http1Connection::WriteEnd(const proto::HeaderList& trailers) {
  if (chunks_) http1::WriteLastChunk(trailers, &turn_->out);
}

uint64_t Http1Connection::SendBudget() {
  const uint64_t rate = exchange_ != nullptr && !IsTunnel() ? ClientRate(*exchange_) : 0;
  if (rate == 0) return UINT64_MAX;
  const uint64_t elapsed_ms = runtime_.loop.NowMs() - exchange_->request().started_ms;
  return RateAllowance(rate, ClientRateAfter(*exchange_), elapsed_ms, bytes_sent());
}

void Http1Connection::Flush() {
  if (state_ == State::kClosed || !has_unsent()) return;
  const uint64_t budget = SendBudget();
  if (budget == 0) return WaitForRate();
  switch (turn_->out.Flush(transport_, false, budget)) {
    case FlushResult::kDrained:
      blocked_ = false;
      if (send_timers_ != nullptr) send_timers_->send.Disarm();
      if (state_ == State::kAnswered) process_.Schedule();
      return;
    case FlushResult::kBlocked:
      blocked_ = true;
      if (turn_->out.stopped_by_budget()) return WaitForRate();
      transport_.WantWrite(true);
      TimersForSending().send.Arm(settings().send_timeout);
      return;
    case FlushResult::kError:
      return OnWriteError();
  }
}

// It is not the client that is waited for: send_timeout begins anew when it next takes less.
void Http1Connection::WaitForRate() {
  blocked_ = true;
  SendTimers& timers = TimersForSending();
  timers.send.Disarm();
  timers.rate.Arm(kRateLook);
}

Http1Connection::SendTimers& Http1Connection::TimersForSending() {
  if (send_timers_ == nullptr) send_timers_ = std::make_unique<SendTimers>(*this);
  return *send_timers_;
}

void Http1Connection::DisarmSending() {
  if (send_timers_ == nullptr) return;
  send_timers_->send.Disarm();
  send_timers_->rate.Disarm();
}

void Http1Connection::OnWriteError() {
  lost_ = true;
  keep_alive_ = false;
  if (transport_.errnum() == EIO && exchange_ != nullptr) {
    exchange_->Log(LogLevel::kError, kFileCut);
  } else if (state_ == State::kAnswered) {
    return LoseClient();
  }
  turn_->out.Clear();
  if (state_ != State::kExchange) return Close(false);
  exchange_->OnClientGone();
  if (state_ == State::kExchange)
    blocked_ = false;  // proxy_ignore_client_abort: the peer is heard to its end
}

// Nobody reads the rest of the answer.
void Http1Connection::LoseClient() {
  if (has_unsent()) exchange_->Log(LogLevel::kInfo, ClosedEarly(transport_));
  Close(false);
}

void Http1Connection::OnWritable() {
  Flush();
  if (state_ == State::kExchange && turn_->out.memory() == 0) exchange_->OnOutputDrained();
}

void Http1Connection::NoteTimeout() {
  if (exchange_ != nullptr)
    exchange_->Log(LogLevel::kInfo, fmt::format("client timed out{}", ErrnoText(ETIMEDOUT)));
  if (settings().reset_timedout_connection) transport_.SetReset();
}

void Http1Connection::OnSendTimeout() {
  NoteTimeout();
  if (state_ == State::kExchange) exchange_->Abandon(408);
  Close(false);
}

void Http1Connection::FinishResponse() {
  if (state_ == State::kClosed) return;
  Enter(State::kAnswered);
  Flush();
  if (turn_->out.empty()) process_.Schedule();
}

// A body without its end, and then no more: so a client sees it (RFC 9112 8).
void Http1Connection::BreakResponse() {
  LastForClient();
  FinishResponse();
}

void Http1Connection::Abort(bool reset) { Close(reset); }

}  // namespace limpet::worker
