#include "worker/net/second_look.h"

namespace limpet::worker {

SecondLooks::SecondLooks(Loop& loop)
    : timer_(loop, Callback::To<&SecondLooks::OnTimer>(this)),
      pause_(loop, Callback::To<&SecondLooks::OnPause>(this)) {}

void SecondLooks::OnTimer() {
  ListLink batch;
  batch.TakeAllOf(aged_);
  batch.TakeAllOf(aged_leisure_);
  aged_.TakeAllOf(fresh_);
  aged_leisure_.TakeAllOf(leisure_);
  TakeAll(batch);
  if (aged_.linked() || fresh_.linked() || seeks_leisure()) timer_.Arm(kAgeMs);
}

void SecondLooks::OnPause() {
  leisure_.TakeAllOf(paused_);
  paused_.TakeAllOf(early_);
  if (leisure_.linked() && !timer_.armed()) timer_.Arm(kAgeMs);
  if (paused_.linked()) pause_.Arm(kPauseMs);
}

void SecondLooks::Hurry() {
  TakeAll(early_);
  TakeAll(paused_);
  OnLeisure();
}

void SecondLooks::OnLeisure() {
  TakeAll(aged_leisure_);
  TakeAll(leisure_);
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
