#include "shm/shard.h"

#include <algorithm>

#include "base/clock.h"
#include "shm/death_points.h"

namespace limpet::shm {

Shard::Shard(std::byte* block, const Geometry& geometry)
    : geometry_(&geometry), bucket_count_(geometry.buckets), slot_count_(geometry.Slots()) {
  head_ = reinterpret_cast<ShardHead*>(block);
  per_peer_ = reinterpret_cast<uint32_t*>(block + sizeof(ShardHead));
  lists_ = reinterpret_cast<QueueLink*>(per_peer_ + geometry.max_peers);
  wheels_ = reinterpret_cast<WheelHead*>(lists_ + kLists);
  // Buckets end where the block ends, which is a cache line's end.
  groups_ = reinterpret_cast<BucketGroup*>(block + geometry.shard_bytes) -
            bucket_count_ / kBucketsPerGroup;
}

// The tag is read again after the value: it cannot have belonged to another key then, or the
// value's own fingerprint would have to be that other key's and equal too.
Slot Shard::FindIn(uint32_t bucket, const Fingerprint& key) const {
  const Bucket& b = BucketAt(bucket);
  for (uint32_t i = 0; i < kSlotsPerBucket; ++i) {
    if (LoadAcquire(b.tag[i]) != key.tag) continue;
    const Value value{LoadAcquire(b.val[i])};
    if (value.bits == 0 || value.fingerprint() != key.extra) continue;
    if (LoadAcquire(b.tag[i]) != key.tag) continue;
    return {bucket * kSlotsPerBucket + i, value};
  }
  return {};
}

// A move fills the new place, counts, then empties the old one. So whoever saw the new place too
// early and the old one too late sees another count, and looks again; that happens only while
// others get on with their work.
Slot Shard::Find(const Fingerprint& key) const {
  const uint32_t first = First(key.tag);
  const uint32_t second = Second(key.tag);
  __builtin_prefetch(&BucketAt(second));
  for (;;) {
    const uint32_t moves = LoadAcquire(head_->moves);
    if (const Slot slot = FindIn(first, key)) return slot;
    if (const Slot slot = FindIn(second, key)) return slot;
    if (LoadAcquire(head_->moves) == moves) return {};
  }
}

// Where sessions are given up soon after their last use, that use has to be known closely.
uint32_t Shard::TouchTicks(const PolicyView& policy, uint32_t now) const {
  if (LoadRelaxed(head_->touch_until) <= now) return policy.touch_ticks;
  return std::min<uint32_t>(policy.touch_ticks, LoadRelaxed(head_->touch_ticks));
}

bool Shard::Use(const Fingerprint& key, const Slot& slot, const PolicyView& policy,
                uint32_t now) const {
  std::atomic_ref val(ValOf(slot.index));
  Value seen = slot.value;
  const uint32_t touch_ticks = TouchTicks(policy, now);
  for (;;) {
    const bool recent = PolicyView::Age(seen.tick(), now) < touch_ticks;
    if (seen.referenced() && recent) return true;
    const Value used =
        policy.norefresh ? seen.UsedSinceCreationTo(now) : seen.UsedAt(recent ? seen.tick() : now);
    if (used == seen) return true;
    if (val.compare_exchange_weak(seen.bits, used.bits, std::memory_order_acq_rel)) return true;
    if (seen.bits == 0 || seen.fingerprint() != key.extra) return false;
    if (TagAt(slot.index) != key.tag) return false;
  }
}

Slot Shard::At(uint32_t index) const {
  const Value value{LoadAcquire(ValOf(index))};
  return value.bits != 0 && TagAt(index) != 0 ? Slot{index, value} : Slot{};
}

uint32_t Shard::FreeIn(uint32_t bucket) const {
  for (uint32_t i = 0; i < kSlotsPerBucket; ++i) {
    if (LoadRelaxed(BucketAt(bucket).tag[i]) == 0) return bucket * kSlotsPerBucket + i;
  }
  return kNil;
}

Shard::Placed Shard::Insert(const Fingerprint& key, Value value, Age age) {
  uint32_t slot = FreeIn(First(key.tag));
  if (slot == kNil) slot = FreeIn(Second(key.tag));
  if (slot == kNil) slot = MakeRoom(key.tag);
  if (slot == kNil) return Placed::kFull;
  Fill(slot, key, value, age);
  if (age == Age::kNewest) NotePace(key.tag, value.tick());
  return Placed::kYes;
}

void Shard::Fill(uint32_t slot, const Fingerprint& key, Value value, Age age) {
  StoreRelease(ValOf(slot), value.bits);
  MayDie(DeathPoint::kValueWritten);
  StoreRelease(TagOf(slot), key.tag);
  MayDie(DeathPoint::kTagWritten);
  StoreRelaxed(head_->live, head_->live + 1);
  StoreRelaxed(per_peer_[value.peer()], per_peer_[value.peer()] + 1);
  if (value.tick() < head_->oldest_tick) StoreRelaxed(head_->oldest_tick, value.tick());
  if (value.referenced()) {
    PushWheel(slot, GradeOf(value.span()), value.tick());
  } else {
    LinkFresh(slot, age == Age::kOldest ? Link(FreshList()).next() : FreshList());
  }
}

// The value goes first: a use that comes later finds nothing to write on, one that came before is
// seen here.
bool Shard::Remove(const Slot& slot) {
  uint64_t expected = slot.value.bits;
  std::atomic_ref val(ValOf(slot.index));
  if (!val.compare_exchange_strong(expected, 0, std::memory_order_acq_rel)) return false;
  MayDie(DeathPoint::kValueCleared);
  StoreRelease(TagOf(slot.index), 0);
  MayDie(DeathPoint::kTagCleared);
  Unlink(slot.index);
  StoreRelaxed(head_->live, head_->live - 1);
  const uint16_t peer = slot.value.peer();
  StoreRelaxed(per_peer_[peer], per_peer_[peer] - 1);
  if (head_->live == 0) StoreRelaxed(head_->oldest_tick, kNil);
  return true;
}

bool Shard::Rebind(const Slot& slot, Value value) {
  uint64_t expected = slot.value.bits;
  std::atomic_ref val(ValOf(slot.index));
  if (!val.compare_exchange_strong(expected, value.bits, std::memory_order_acq_rel)) return false;
  MayDie(DeathPoint::kRebound);
  const uint16_t old_peer = slot.value.peer();
  StoreRelaxed(per_peer_[old_peer], per_peer_[old_peer] - 1);
  StoreRelaxed(per_peer_[value.peer()], per_peer_[value.peer()] + 1);
  return true;
}

void Shard::Renew(const Slot& slot) {
  Unlink(slot.index);
  LinkFresh(slot.index, FreshList());
}

namespace {

// `now` is from before: others have gone on while this one waited.
RobustMutex::Owner LockAndAge(RobustMutex& lock, uint32_t* now) {
  if (const auto owner = lock.TryLock()) return *owner;
  const uint32_t before = TickOf(BootMs());
  const RobustMutex::Owner owner = lock.Lock();
  *now += TickOf(BootMs()) - before + 1;
  return owner;
}

}  // namespace

ShardLock::ShardLock(Shard& shard, uint32_t now, uint64_t& repaired) : shard_(shard) {
  if (LockAndAge(shard.head().lock, &now) == RobustMutex::Owner::kDied) {
    shard.Repair(now);
    shard.head().lock.MarkRepaired();
    Count(repaired);
  } else if (shard.head().arrangement != kArrangement) {
    shard.Requeue();
  }
  MayDie(DeathPoint::kLocked);
}

}  // namespace limpet::shm
