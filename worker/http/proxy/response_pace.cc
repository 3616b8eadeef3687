#include "worker/http/proxy/response_pace.h"

#include "worker/http/filter/limit_rate.h"

namespace limpet::worker {
namespace {

constexpr uint64_t kPatienceMs = 50;  // that a client may be behind before its bytes are spooled

}  // namespace

ResponsePace::ResponsePace(Loop& loop, TimerGroup& timers, Callback look_again,
                           Callback patience_over)
    : loop_(loop), group_(timers), look_again_(look_again), patience_over_(patience_over) {}

ResponsePace::Slowed& ResponsePace::NeedSlowed() {
  if (slowed_ == nullptr) {
    slowed_.reset(new Slowed{.rate_pause = {loop_, group_, look_again_},
                             .patience = {loop_, group_, patience_over_}});
  }
  return *slowed_;
}

void ResponsePace::Begin(uint64_t bytes_a_second) {
  if (bytes_a_second == 0) return;
  NeedSlowed().rate = bytes_a_second;
  slowed_->began_ms = loop_.NowMs();
}

void ResponsePace::End() {
  if (slowed_ != nullptr) {
    slowed_->rate_pause.Disarm();
    slowed_->patience.Disarm();
    slowed_->rate = 0;
  }
  client_ = Pace::kKeepsUp;
  client_was_slow_ = paused_ = false;
}

uint64_t ResponsePace::Budget(uint64_t received) const {
  if (!limited()) return UINT64_MAX;
  return RateAllowance(slowed_->rate, 0, loop_.NowMs() - slowed_->began_ms, received);
}

// A client that is behind for a moment is waited for: its bytes stay where the processor has them
// at hand.
void ResponsePace::Look(const Client& client, uint64_t received) {
  const bool rate_reached = Budget(received) == 0;
  const bool behind = client.blocked && client_ != Pace::kSlow;
  if (behind && client_ == Pace::kKeepsUp) {
    client_ = Pace::kBehind;
    NeedSlowed().patience.Arm(kPatienceMs);
  }
  if (rate_reached) NeedSlowed().rate_pause.Arm(kRateLook);
  paused_ = client.full || rate_reached || behind;
}

void ResponsePace::OnClientDrained() {
  client_ = Pace::kKeepsUp;
  if (slowed_ != nullptr) slowed_->patience.Disarm();
}

void ResponsePace::OnPatienceOver(bool client_is_blocked) {
  client_ = client_is_blocked ? Pace::kSlow : Pace::kKeepsUp;
  client_was_slow_ |= client_is_blocked;
}

}  // namespace limpet::worker
