#include "shm/lease.h"

namespace limpet::shm {

bool Lease::TryTake() {
  if (held_ || mutex_ == nullptr) return held_ = true;
  const auto owner = mutex_->TryLock();
  if (owner == RobustMutex::Owner::kDied) mutex_->MarkRepaired();  // it guards no data
  return held_ = owner.has_value();
}

void Lease::Release() {
  if (held_ && mutex_ != nullptr) mutex_->Unlock();
  held_ = false;
}

}  // namespace limpet::shm
