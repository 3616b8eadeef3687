#include "worker/http/proxy/response_pace.h"

#include "worker/http/filter/limit_rate.h"

namespace limpet::worker {
namespace {

constexpr uint64_t kPatienceMs = 50;  // that a client may be behind before its bytes are spooled
constexpr uint64_t kRateLookMs = 100;

}  // namespace

ResponsePace::ResponsePace(Loop& loop, TimerGroup& timers, Callback look_again,
                           Callback patience_over)
    : loop_(loop), group_(timers), look_again_(look_again), patience_over_(patience_over) {}

ResponsePace::Timers& ResponsePace::TimersToArm() {
  if (timers_ == nullptr) {
    timers_.reset(new Timers{.rate = {loop_, group_, look_again_},
                             .patience = {loop_, group_, patience_over_}});
  }
  return *timers_;
}

void ResponsePace::Begin(uint64_t bytes_a_second) {
  rate_ = bytes_a_second;
  if (rate_ > 0) began_ms_ = loop_.NowMs();
}

void ResponsePace::End() {
  if (timers_ != nullptr) {
    timers_->rate.Disarm();
    timers_->patience.Disarm();
  }
  rate_ = 0;
  client_ = Pace::kKeepsUp;
  client_was_slow_ = paused_ = false;
}

uint64_t ResponsePace::Budget(uint64_t received) const {
  if (rate_ == 0) return UINT64_MAX;
  return RateAllowance(rate_, 0, loop_.NowMs() - began_ms_, received);
}

// A client that is behind for a moment is waited for: its bytes stay where the processor has them
// at hand.
void ResponsePace::Look(const Client& client, uint64_t received) {
  const bool rate_reached = Budget(received) == 0;
  const bool behind = client.blocked && client_ != Pace::kSlow;
  if (behind && client_ == Pace::kKeepsUp) {
    client_ = Pace::kBehind;
    TimersToArm().patience.Arm(kPatienceMs);
  }
  if (rate_reached) TimersToArm().rate.Arm(kRateLookMs);
  paused_ = client.full || rate_reached || behind;
}

void ResponsePace::OnClientDrained() {
  client_ = Pace::kKeepsUp;
  if (timers_ != nullptr) timers_->patience.Disarm();
}

void ResponsePace::OnPatienceOver(bool client_is_blocked) {
  client_ = client_is_blocked ? Pace::kSlow : Pace::kKeepsUp;
  client_was_slow_ |= client_is_blocked;
}

}  // namespace limpet::worker
