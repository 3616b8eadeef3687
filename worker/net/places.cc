#include "worker/net/places.h"

#include <utility>

#include "base/clock.h"

namespace limpet::worker {
namespace {

constexpr uint64_t kSayEveryMs = 1000;

}  // namespace

void Places::Limit(size_t most, const Log& log) {
  most_ = most;
  log_ = &log;
}

bool Places::MakeRoom() {
  while (taken_ >= most_ && idle_.linked()) {
    Say();
    auto* longest = static_cast<Place*>(idle_.next);
    longest->SetBusy();
    longest->give_way_();
  }
  return taken_ < most_;
}

void Places::Say() {
  const uint64_t now = MonotonicMs();
  if (said_ms_ != 0 && now - said_ms_ < kSayEveryMs) return;
  said_ms_ = now;
  LIMPET_LOG(*log_, LogLevel::kWarn, "{} worker_connections are not enough, reusing connections",
             most_);
}

Place::Place(Places& places) : places_(places) {
  places_.MakeRoom();
  ++places_.taken_;
}

void Place::Release() {
  SetBusy();
  if (std::exchange(taken_, false)) --places_.taken_;
}

void Place::SetIdle(Callback give_way) {
  SetBusy();
  give_way_ = give_way;
  LinkBefore(places_.idle_);
}

}  // namespace limpet::worker
