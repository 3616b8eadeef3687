// Setting a shard right after the owner of its lock died: the buckets are made consistent, and
// everything else is made anew from them. Readers go on meanwhile. Dying in here only means that
// the next one begins again.
#include <algorithm>
#include <string>

#include "shm/death_points.h"
#include "shm/shard.h"

namespace limpet::shm {

void Shard::Repair(uint32_t now) {
  CheckSlots(now);
  for (uint32_t slot = 0; slot < slot_count_; ++slot) DropDuplicates(slot);
  Recount();
  Requeue();
}

// A slot is a session, or empty in both its words; a session is where a lookup finds it, and bound
// to a possible peer.
void Shard::CheckSlots(uint32_t now) {
  for (uint32_t index = 0; index < slot_count_; ++index) {
    const Slot slot = At(index);
    const uint64_t tag = TagAt(index);
    const uint32_t bucket = index / kSlotsPerBucket;
    const bool sound = slot && (First(tag) == bucket || Second(tag) == bucket) &&
                       slot.value.peer() < geometry_->max_peers;
    if (!sound) {
      StoreRelease(ValOf(index), 0);
      StoreRelease(TagOf(index), 0);
      continue;
    }
    if (slot.value.tick() <= now + 1) continue;
    uint64_t expected = slot.value.bits;  // from the future: no such use can have been
    std::atomic_ref(ValOf(index)).compare_exchange_strong(expected, slot.value.UsedAt(now).bits);
  }
  MayDie(DeathPoint::kRepairing);
}

// A move that was not finished left the session in both its places: the other one goes.
void Shard::DropDuplicates(uint32_t slot) {
  const Slot mine = At(slot);
  if (!mine) return;
  const uint64_t tag = TagAt(slot);
  for (const uint32_t bucket : {First(tag), Second(tag)}) {
    for (uint32_t i = 0; i < kSlotsPerBucket; ++i) {
      const uint32_t other = bucket * kSlotsPerBucket + i;
      if (other == slot || TagAt(other) != tag) continue;
      const Slot twin = At(other);
      if (!twin || twin.value.fingerprint() != mine.value.fingerprint()) continue;
      std::atomic_ref(head_->moves).fetch_add(1, std::memory_order_acq_rel);
      StoreRelease(TagOf(other), 0);
      Merge(ValOf(slot), Value{std::atomic_ref(ValOf(other)).exchange(0)});
      MayDie(DeathPoint::kRepairing);
    }
  }
}

void Shard::Recount() {
  uint32_t live = 0;
  for (uint32_t peer = 0; peer < geometry_->max_peers; ++peer) StoreRelaxed(per_peer_[peer], 0);
  for (uint32_t index = 0; index < slot_count_; ++index) {
    const Slot slot = At(index);
    if (!slot) continue;
    ++live;
    const uint16_t peer = slot.value.peer();
    StoreRelaxed(per_peer_[peer], per_peer_[peer] + 1);
  }
  StoreRelaxed(head_->live, live);
}

// Those never looked up go to a wheel first and leave it for their list, oldest first: sorted,
// without memory to sort in. Then the others go to their wheels. Lookups go on meanwhile, so that
// the links say which are which the second time.
void Shard::Requeue() {
  ResetQueues();
  const uint32_t oldest = OldestTick();
  StoreRelaxed(head_->oldest_tick, oldest);
  BeginWheel(0, oldest);
  for (uint32_t index = 0; index < slot_count_; ++index) {
    const Slot slot = At(index);
    Link(index) = QueueLink::Of(index, index, 1);
    if (slot && !slot.value.referenced()) LinkAt(index, 0, slot.value.tick());
  }
  MayDie(DeathPoint::kRepairing);
  FreshFromWheel();
  for (uint32_t grade = 0; grade < kGrades; ++grade) BeginWheel(grade, oldest);
  for (uint32_t index = 0; index < slot_count_; ++index) {
    const Slot slot = At(index);
    if (slot && Link(index).queue() != 0)
      LinkAt(index, GradeOf(slot.value.span()), slot.value.tick());
  }
}

// In order; one that is used at this very moment may go to the wheel of its grade, and waits there.
void Shard::FreshFromWheel() {
  for (uint32_t grade = 0; grade < kGrades; ++grade) {
    uint32_t budget = UINT32_MAX;
    while (const Slot slot = OldestUsed(grade, &budget)) {
      Unlink(slot.index);
      LinkFresh(slot.index, FreshList());
    }
  }
}

uint32_t Shard::OldestTick() const {
  uint32_t oldest = kNil;
  for (uint32_t index = 0; index < slot_count_; ++index) {
    if (const Slot slot = At(index)) oldest = std::min(oldest, slot.value.tick());
  }
  return oldest;
}

std::string Shard::Check(uint32_t now) const {
  uint32_t live = 0;
  for (uint32_t index = 0; index < slot_count_; ++index) {
    const uint64_t tag = TagAt(index);
    const Slot slot = At(index);
    if (!slot) {
      if (tag != 0 || LoadAcquire(ValOf(index)) != 0) return "half a session";
      continue;
    }
    ++live;
    const Slot found = Find({tag, slot.value.fingerprint()});
    if (found.index != index) return found ? "a session twice" : "a session that cannot be found";
    if (slot.value.tick() > now + 1) return "a session from the future";
    if (Link(Link(index).next()).prev() != index) return "a broken link forward";
    if (Link(Link(index).prev()).next() != index) return "a broken link backward";
  }
  if (live != head_->live) return "a wrong count of sessions";
  uint32_t queued = 0;
  uint32_t in_queue[kQueues] = {};
  for (uint32_t list = slot_count_; list < slot_count_ + kLists; ++list) {
    for (uint32_t slot = Link(list).next(); slot != list; slot = Link(slot).next()) {
      if (++queued > live) return "a queue without end";
      if (Link(slot).queue() != QueueOfList(list)) return "a session in the wrong queue";
      ++in_queue[QueueOfList(list)];
    }
  }
  if (queued != live) return "a session in no queue";
  for (uint32_t queue = 0; queue < kQueues; ++queue) {
    if (in_queue[queue] != In(queue)) return "a wrong count of a queue's sessions";
  }
  uint32_t bound = 0;
  for (uint32_t peer = 0; peer < geometry_->max_peers; ++peer) bound += per_peer_[peer];
  return bound == live ? "" : "a wrong count of a peer's sessions";
}

}  // namespace limpet::shm
