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

const StickyState SessionHold::kNothing;

SessionHold::SessionHold(Loop& loop, conf::VariableReader& request, Callback on_known)
    : loop_(loop), request_(request), on_known_(on_known) {}

void SessionHold::Find(StickyPolicy* policy) {
  if (policy == nullptr) return;
  if (known_ == nullptr) known_ = std::make_unique<Known>(this);
  if (policy_ == nullptr || !FindAgain()) {
    known_->wait.Cancel();
    known_->state = {};
    policy->Find(request_, known_->state);
    asking_ = known_->state.bound == nullptr && policy->Ask(known_->state, &known_->wait);
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
  if (found.id != known_->state.id) return false;
  // Its answer has been forgotten.
  if (known_->state.only_stored && found.bound == nullptr) return true;
  found.dry = false;
  found.has_age = known_->state.has_age;
  found.idle_ms = known_->state.idle_ms;
  found.asked = known_->state.asked;
  if (!found.has_learned && !known_->state.has_learned) found.status = known_->state.status;
  known_->state = found;
  return true;
}

void SessionHold::OnChosen(const Peer& peer) {
  if (policy_ != nullptr) known_->cookie = policy_->OnChosen(request_, known_->state, peer);
}

// The store has put what it knew into the zone.
void SessionHold::OnWaitEnd() {
  if (std::exchange(asking_, false) && FindAgain() && known_->state.bound != nullptr) {
    known_->state.asked = true;
    Keep();
  }
  on_known_();
}

void SessionHold::OnResponseHead(const Peer& peer) {
  if (policy_ == nullptr) return;
  if (policy_->confirms()) known_->state.wait = &known_->wait;
  policy_->OnResponseHead(request_, known_->state, peer);
  known_->state.wait = nullptr;
  Keep();
}

void SessionHold::OnHeadLeaves(const Peer& peer, bool buffered) {
  if (policy_ == nullptr) return;
  if (policy_->confirms()) known_->state.wait = &known_->wait;
  policy_->OnHeadLeaves(request_, known_->state, peer, buffered);
  known_->state.wait = nullptr;
  Keep();
}

void SessionHold::OnResponseEnd(const Peer& peer) {
  if (policy_ == nullptr) return;
  policy_->OnResponseEnd(request_, known_->state, peer);
  Keep();
}

void SessionHold::Renew() {
  if (policy_ != nullptr && policy_->touch_interval_ms() > 0) policy_->Touch(known_->state);
}

void SessionHold::End() {
  if (known_ != nullptr) {
    known_->touch.Disarm();
    known_->wait.Cancel();
    known_->state = {};
    known_->cookie = {};
  }
  policy_ = nullptr;
}

// From now on, if there is a session to be kept.
void SessionHold::Keep() {
  if (!known_->state.has_learned || known_->touch.armed() || policy_->touch_interval_ms() == 0)
    return;
  known_->touch.Arm(FirstTouchMs());
}

// Before the session's rest is over. One that is meant to end, as its server is drained, is used
// late: as in nginx, it may be over before.
uint64_t SessionHold::FirstTouchMs() const {
  const uint64_t interval = policy_->touch_interval_ms();
  const uint64_t timeout = policy_->timeout_ms();
  if (known_->state.bound != nullptr && known_->state.bound->draining() &&
      known_->state.bound->drain_move() == 0)
    return std::max(interval, std::min(timeout / 2, kLateMs));
  if (!known_->state.has_age || known_->state.bound == nullptr) return interval;
  const uint64_t rest = timeout - std::min(timeout, known_->state.idle_ms);
  const uint64_t soon =
      known_->state.idle_ms < interval / 4 ? interval : std::min(interval, kSoonMs);
  return std::min(soon, rest > 2 * kTickMs ? (rest - kTickMs) / 2 : 0);
}

void SessionHold::OnTimer() {
  policy_->Touch(known_->state);
  known_->touch.Arm(policy_->touch_interval_ms());
}

}  // namespace limpet::worker
