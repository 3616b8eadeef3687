#include "worker/net/second_look.h"

namespace limpet::worker {
namespace {

constexpr uint64_t kPauseMs = 50;

}  // namespace

SecondLooks::SecondLooks(Loop& loop) : timer_(loop, Callback::To<&SecondLooks::OnTimer>(this)) {}

void SecondLooks::Start() { timer_.Arm(kPauseMs); }

void SecondLooks::OnTimer() {
  ListLink batch;
  batch.TakeAllOf(aged_);
  batch.TakeAllOf(aged_leisure_);
  aged_.TakeAllOf(fresh_);
  aged_leisure_.TakeAllOf(fresh_leisure_);
  TakeAll(batch);
  if (aged_.linked() || fresh_.linked() || any_at_leisure()) Start();
}

void SecondLooks::OnLeisure() {
  TakeAll(aged_leisure_);
  TakeAll(fresh_leisure_);
}

// A look may end other connections, and with them theirs.
void SecondLooks::TakeAll(ListLink& these) {
  while (these.linked()) {
    auto* look = static_cast<SecondLook*>(these.next);
    look->CallOff();
    look->look_();
  }
}

}  // namespace limpet::worker
