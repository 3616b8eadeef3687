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
  aged_.TakeAllOf(fresh_);
  aged_.TakeAllOf(at_leisure_);
  TakeAll(batch);
  if (aged_.linked() || fresh_.linked() || at_leisure_.linked()) Start();
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
