#include "worker/status/session_sweep.h"

#include "base/clock.h"

namespace limpet::worker {
namespace {

constexpr uint32_t kSlotsAtOnce = 512;             // under one lock: a few microseconds
constexpr size_t kMostChanged = 4 * kSlotsAtOnce;  // tables of earlier keys may end meanwhile
constexpr int kPasses = 2;  // sessions that were moved behind our back are met again

}  // namespace

bool SessionSweep::Step(std::chrono::microseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  do {
    stuck_ = shared_ != nullptr && shared_->relay.Room() < kMostChanged;
    if (stuck_) return true;
    const uint32_t shard = walk_.shard;
    Work();
    LimitPasses(shard);
  } while (walk_.more && std::chrono::steady_clock::now() < end);
  return walk_.more;
}

void SessionSweep::Work() {
  std::vector<shm::SessionRecord> changed;
  auto* const noted = shared_ != nullptr ? &changed : nullptr;
  if (forgets()) {
    table_->ForgetPeer(from_, kSlotsAtOnce, BootMs(), &walk_, noted);
  } else {
    table_->MovePeer(from_, to_, kSlotsAtOnce, BootMs(), &walk_, noted);
  }
  if (noted != nullptr) shared_->Relay(changed, table_->peers(), WallMs());
}

void SessionSweep::LimitPasses(uint32_t shard_before) {
  if (walk_.shard != shard_before) passes_ = 0;
  if (walk_.bucket != 0 || !walk_.more) return;  // in the middle of a shard, or at the end
  if (++passes_ < kPasses) return;
  passes_ = 0;
  ++walk_.shard;
}

}  // namespace limpet::worker
