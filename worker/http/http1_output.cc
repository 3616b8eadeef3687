// The response's way to the client of an HTTP/1 connection: as fast as it takes it, or as it may.
#include <netinet/tcp.h>

#include <cerrno>

#include "worker/http/connection_set.h"
#include "worker/http/http1_connection.h"
#include "worker/http/limit_rate.h"

namespace limpet::worker {

uint64_t Http1Connection::SendBudget() {
  const uint64_t rate = exchange_ != nullptr && !tunnel_ ? ClientRate(*exchange_) : 0;
  if (rate == 0) return UINT64_MAX;
  const uint64_t elapsed_ms = runtime_.loop.NowMs() - exchange_->request().started_ms;
  return RateAllowance(rate, ClientRateAfter(*exchange_), elapsed_ms, bytes_sent());
}

void Http1Connection::Flush() {
  if (state_ == State::kClosed || out_.empty()) return;
  const uint64_t budget = SendBudget();
  if (budget == 0) {
    blocked_ = true;
    return rate_timer_.Arm(100);
  }
  switch (out_.Flush(*transport_, false, budget)) {
    case FlushResult::kDrained:
      blocked_ = false;
      send_timer_.Disarm();
      if (finished_) process_.Schedule();
      return;
    case FlushResult::kBlocked:
      blocked_ = true;
      if (out_.stopped_by_budget()) {
        rate_timer_.Arm(100);
        return;
      }
      transport_->WantWrite(true);
      send_timer_.Arm(settings().send_timeout);
      return;
    case FlushResult::kError:
      return OnWriteError();
  }
}

void Http1Connection::OnWriteError() {
  out_.Clear();
  keep_alive_ = false;
  if (state_ != State::kExchange) return Close(false);
  if (finished_) return Close(false);
  exchange_->OnClientGone();
  if (state_ == State::kExchange && !finished_)
    blocked_ = false;  // proxy_ignore_client_abort: the peer is heard to its end
}

void Http1Connection::OnWritable() {
  Flush();
  if (state_ == State::kExchange && !finished_ && out_.memory() == 0) exchange_->OnOutputDrained();
}

void Http1Connection::OnRateTimer() { OnWritable(); }

void Http1Connection::OnSendTimeout() {
  if (exchange_ != nullptr)
    exchange_->Log(LogLevel::kInfo, fmt::format("client timed out{}", ErrnoText(ETIMEDOUT)));
  const bool reset = settings().reset_timedout_connection;
  if (exchange_ != nullptr && state_ == State::kExchange && !finished_) exchange_->Abandon(408);
  Close(reset);
}

void Http1Connection::FinishResponse() {
  finished_ = true;
  if (state_ == State::kClosed) return;
  Flush();
  if (out_.empty()) process_.Schedule();
}

void Http1Connection::Abort(bool reset) {
  finished_ = true;
  Close(reset);
}

bool Http1Connection::TcpInfo(tcp_info* out) const {
  socklen_t size = sizeof *out;
  return ::getsockopt(transport_->fd(), IPPROTO_TCP, TCP_INFO, out, &size) == 0;
}

}  // namespace limpet::worker
