#include "worker/sticky/session_hold.h"

#include <algorithm>
#include <utility>

namespace limpet::worker {
namespace {

// The table counts in tenths of a second: a session may end that much before its rest is over.
constexpr uint64_t kTickMs = 100;

// A session that was idle is soon known to be in use: it may be told by hand to move (limpet
// rebalance). Most answers have come by then.
constexpr uint64_t kSoonMs = 200;

// One of a server that drains is used at half of its timeout, or here.
constexpr uint64_t kLateMs = 60'000;

}  // namespace

SessionHold::SessionHold(Loop& loop, conf::VariableReader& request, Callback on_known)
    : loop_(loop), request_(request), on_known_(on_known) {}

void SessionHold::Find(StickyPolicy* policy) {
  if (policy == nullptr) return;
  if (timing_ == nullptr) timing_ = std::make_unique<Timing>(this);
  if (policy_ == nullptr || !FindAgain()) {
    timing_->wait.Cancel();
    state_ = {};
    policy->Find(request_, state_);
    asking_ = state_.bound == nullptr && policy->Ask(state_, &timing_->wait);
  }
  policy_ = policy;
  Keep();
}

// The session is as old as it was at the head: it has been in use since. False: the body has made
// another one of it.
bool SessionHold::FindAgain() {
  StickyState found;
  found.dry = true;
  policy_->Find(request_, found);
  if (found.id != state_.id) return false;
  found.dry = false;
  found.has_age = state_.has_age;
  found.idle_ms = state_.idle_ms;
  found.asked = state_.asked;
  if (!found.has_learned && !state_.has_learned) found.status = state_.status;
  state_ = found;
  return true;
}

std::string_view SessionHold::OnChosen(const Peer& peer) {
  return policy_ != nullptr ? policy_->OnChosen(request_, state_, peer) : std::string_view();
}

// The store has put what it knew into the zone.
void SessionHold::OnWaitEnd() {
  if (std::exchange(asking_, false) && FindAgain() && state_.bound != nullptr) {
    state_.asked = true;
    Keep();
  }
  on_known_();
}

void SessionHold::OnResponseHead(const Peer& peer) {
  if (policy_ == nullptr) return;
  if (policy_->confirms()) state_.wait = &timing_->wait;
  policy_->OnResponseHead(request_, state_, peer);
  state_.wait = nullptr;
  Keep();
}

void SessionHold::OnHeadLeaves(const Peer& peer, bool buffered) {
  if (policy_ == nullptr) return;
  if (policy_->confirms()) state_.wait = &timing_->wait;
  policy_->OnHeadLeaves(request_, state_, peer, buffered);
  state_.wait = nullptr;
  Keep();
}

void SessionHold::OnResponseEnd(const Peer& peer) {
  if (policy_ == nullptr) return;
  policy_->OnResponseEnd(request_, state_, peer);
  Keep();
}

void SessionHold::Renew() {
  if (policy_ != nullptr && policy_->touch_interval_ms() > 0) policy_->Touch(state_);
}

void SessionHold::End() {
  if (timing_ != nullptr) {
    timing_->touch.Disarm();
    timing_->wait.Cancel();
  }
  policy_ = nullptr;
  state_ = {};
}

// From now on, if there is a session to be kept.
void SessionHold::Keep() {
  if (!state_.has_learned || timing_->touch.armed() || policy_->touch_interval_ms() == 0) return;
  timing_->touch.Arm(FirstTouchMs());
}

// Before the session's rest is over. One that is meant to end, as its server is drained, is used
// late: as in nginx, it may be over before.
uint64_t SessionHold::FirstTouchMs() const {
  const uint64_t interval = policy_->touch_interval_ms();
  const uint64_t timeout = policy_->timeout_ms();
  if (state_.bound != nullptr && state_.bound->draining() && state_.bound->drain_move() == 0)
    return std::max(interval, std::min(timeout / 2, kLateMs));
  if (!state_.has_age || state_.bound == nullptr) return interval;
  const uint64_t rest = timeout - std::min(timeout, state_.idle_ms);
  const uint64_t soon = state_.idle_ms < interval / 4 ? interval : std::min(interval, kSoonMs);
  return std::min(soon, rest > 2 * kTickMs ? (rest - kTickMs) / 2 : 0);
}

void SessionHold::OnTimer() {
  policy_->Touch(state_);
  timing_->touch.Arm(policy_->touch_interval_ms());
}

}  // namespace limpet::worker
