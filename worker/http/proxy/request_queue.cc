#include "worker/http/proxy/request_queue.h"

namespace limpet::worker {
namespace {

constexpr uint64_t kLookAgainMs = 20;

}  // namespace

RequestQueue::RequestQueue(Loop& loop, int limit)
    : limit_(static_cast<size_t>(limit)),
      soon_(loop, Callback::To<&RequestQueue::GiveTurns>(this)),
      timer_(loop, Callback::To<&RequestQueue::OnTimer>(this)) {}

uint64_t RequestQueue::Join(Callback turn) {
  if (waiting_.size() >= limit_) return 0;
  waiting_.emplace(++tickets_, turn);
  if (!timer_.armed()) timer_.Arm(kLookAgainMs);
  return tickets_;
}

void RequestQueue::GiveTurns() {
  if (giving_) return;
  giving_ = true;
  const uint64_t last = tickets_;  // who joins meanwhile has had its turn
  for (auto next = waiting_.begin(); next != waiting_.end() && next->first <= last;) {
    const auto [ticket, turn] = *next;
    turn();
    next = waiting_.upper_bound(ticket);
  }
  giving_ = false;
}

void RequestQueue::OnTimer() {
  GiveTurns();
  if (!waiting_.empty()) timer_.Arm(kLookAgainMs);
}

}  // namespace limpet::worker
