// Which session of a shard goes next: the lists of a shard, and what is given up or collected from
// their fronts.
#include <algorithm>

#include "shm/death_points.h"
#include "shm/shard.h"

namespace limpet::shm {
namespace {

constexpr uint32_t kFresh =
    0x8000'0000;  // in a slot's `prev`: it stands in the list of the never looked up
constexpr uint32_t kIndex = 0x7FFF'FFFF;
// Sessions put in their place, at most, to find the next one to give up; and when one is added to a
// shard with room.
constexpr uint32_t kLooks = 512;
constexpr uint32_t kTidy = 4;
constexpr uint32_t kNewest = 8;  // looked at from the other end then
constexpr uint32_t kFreshShare =
    16;  // those never looked up may keep one in that many places against older ones

void SetPrev(QueueLink& link, uint32_t prev) { link.prev = (link.prev & kFresh) | prev; }

}  // namespace

void Shard::ResetQueues(const PolicyView& policy) {
  for (uint32_t list = slot_count_; list < slot_count_ + kLists; ++list)
    links_[list] = {list, list};
  head_->fresh = 0;
  head_->wheel_base = head_->newest_unit = 0;
  head_->unit_shift = policy.unit_shift;
  StoreRelaxed(head_->oldest_tick, kNil);
}

bool Shard::InFresh(uint32_t slot) const { return (links_[slot].prev & kFresh) != 0; }

void Shard::Unlink(uint32_t slot) {
  const uint32_t prev = links_[slot].prev & kIndex;
  const uint32_t next = links_[slot].next;
  links_[prev].next = next;
  MayDie(DeathPoint::kRelinking);
  SetPrev(links_[next], prev);
  if (InFresh(slot)) --head_->fresh;
}

void Shard::LinkBefore(uint32_t slot, uint32_t next) {
  const uint32_t prev = links_[next].prev & kIndex;
  links_[slot] = {next, prev};
  links_[prev].next = slot;
  MayDie(DeathPoint::kRelinking);
  SetPrev(links_[next], slot);
}

void Shard::TakeOver(uint32_t from, uint32_t to) {
  links_[to] = links_[from];
  links_[links_[to].prev & kIndex].next = to;
  SetPrev(links_[links_[to].next], to);
}

// At the end; but what comes from another table comes newest first, and goes before what is newer.
void Shard::PushFresh(uint32_t slot) {
  const uint32_t first = links_[FreshList()].next;
  const uint32_t last = links_[FreshList()].prev & kIndex;
  const uint32_t tick = At(slot).value.tick();
  const bool oldest =
      first != FreshList() && tick <= At(first).value.tick() && tick < At(last).value.tick();
  LinkFresh(slot, oldest ? first : FreshList());
}

void Shard::LinkFresh(uint32_t slot, uint32_t next) {
  LinkBefore(slot, next);
  links_[slot].prev |= kFresh;
  ++head_->fresh;
}

// Never beyond the wheel's reach: too early a place is put right when its turn comes. The base goes
// back for a session older than it; if that would be too far for those at the other end, it goes to
// the very front instead.
void Shard::PushWheel(uint32_t slot, uint32_t tick) {
  const uint32_t unit = tick >> head_->unit_shift;
  if (head_->live == head_->fresh + 1) {  // only this one is counted but in no list
    head_->wheel_base = head_->newest_unit = unit;
  }
  if (unit < head_->wheel_base && head_->newest_unit - unit < kWheelUnits) head_->wheel_base = unit;
  if (unit < head_->wheel_base) {
    LinkBefore(slot, links_[WheelList(head_->wheel_base)].next);
  } else {
    LinkAt(slot, unit);
  }
}

void Shard::LinkAt(uint32_t slot, uint32_t unit) {
  const uint32_t place = std::min(unit, head_->wheel_base + kWheelUnits - 1);
  head_->newest_unit = std::max(head_->newest_unit, place);
  LinkBefore(slot, WheelList(place));
}

// The front of the list of the never looked up, after those that were have left it.
Slot Shard::OldestFresh(uint32_t* budget) {
  while (!Empty(FreshList()) && *budget > 0) {
    const Slot slot = At(links_[FreshList()].next);
    if (!slot.value.referenced()) return slot;
    Unlink(slot.index);
    PushWheel(slot.index, slot.value.tick());
    --*budget;
  }
  return {};
}

// One of the last that came: for when so many were looked up at once that the front is not sorted
// out yet.
Slot Shard::NewestFresh() const {
  uint32_t index = links_[FreshList()].prev & kIndex;
  for (uint32_t i = 0; i < kNewest && index != FreshList(); ++i) {
    if (const Slot slot = At(index); !slot.value.referenced()) return slot;
    index = links_[index].prev & kIndex;
  }
  return {};
}

// The front of the wheel, after those used since they were put there have left it; where there are
// too many of them, the one of those idle longest.
Slot Shard::OldestUsed(uint32_t* budget) {
  if (head_->live == head_->fresh) return {};
  Slot best;
  for (;;) {
    while (Empty(WheelList(head_->wheel_base))) ++head_->wheel_base;
    const Slot slot = At(links_[WheelList(head_->wheel_base)].next);
    const uint32_t unit = slot.value.tick() >> head_->unit_shift;
    if (unit <= head_->wheel_base) return slot;
    if (!best || slot.value.tick() < best.value.tick()) best = slot;
    if (*budget == 0) return best;
    Unlink(slot.index);
    LinkAt(slot.index, unit);
    --*budget;
  }
}

// Long before it matters: a table that fills while its sessions are used must not find itself full
// and unsorted.
void Shard::Tidy() {
  uint32_t looks = kTidy;
  (void)OldestFresh(&looks);
}

// What the next one to give up a session will look at first.
void Shard::PrefetchFront() const {
  const uint32_t next = links_[FreshList()].next;
  if (next >= slot_count_) return;
  __builtin_prefetch(&ValOf(next));
  __builtin_prefetch(&links_[next]);
}

Shard::Gave Shard::GiveUp(const PolicyView& policy, uint32_t now, bool only_expired) {
  for (;;) {
    uint32_t looks = kLooks;
    Slot fresh = OldestFresh(&looks);
    if (looks == 0) fresh = NewestFresh();
    looks = kLooks;
    const Slot used = OldestUsed(&looks);
    if (!fresh && !used) return Gave::kNothing;
    const bool used_expired = used && policy.Expired(used.value.tick(), now);
    const bool fresh_expired = fresh && policy.Expired(fresh.value.tick(), now);
    if (only_expired && !used_expired && !fresh_expired) return Gave::kNothing;

    // A flood of clients that never return takes places from its own kind, not from those who do
    // return.
    const bool fresh_first = !used || head_->fresh > geometry_->shard_capacity / kFreshShare ||
                             (fresh && fresh.value.tick() < used.value.tick());
    const bool take_used = used_expired || !fresh || (!fresh_expired && !fresh_first);
    if (Remove(take_used ? used : fresh)) {
      PrefetchFront();
      return used_expired || fresh_expired ? Gave::kExpired : Gave::kLive;
    }
  }
}

bool Shard::GiveUpNear(const Fingerprint& key) {
  for (;;) {
    Slot victim;
    for (const uint32_t bucket : {First(key.tag), Second(key.tag)}) {
      for (uint32_t i = 0; i < kSlotsPerBucket; ++i) {
        const Slot slot = At(bucket * kSlotsPerBucket + i);
        if (slot && (!victim || slot.value.tick() < victim.value.tick())) victim = slot;
      }
    }
    if (!victim || Remove(victim)) return static_cast<bool>(victim);
  }
}

bool Shard::CollectOne(const PolicyView& policy, uint32_t now, uint32_t* budget) {
  const Slot fresh = OldestFresh(budget);
  const bool take_fresh = fresh && policy.Expired(fresh.value.tick(), now);
  const Slot victim = take_fresh ? fresh : OldestUsed(budget);
  if (!victim || !policy.Expired(victim.value.tick(), now)) return false;
  return Remove(victim);
}

bool Shard::Collect(const PolicyView& policy, uint32_t now, uint32_t* budget, uint64_t* collected) {
  while (*budget > 0 && CollectOne(policy, now, budget)) {
    --*budget;
    ++*collected;
  }
  if (*budget == 0) return true;
  NoteOldest(policy, now, budget);
  return false;
}

// After all that is expired has gone, so that the next collector need not lock to see that nothing
// is.
void Shard::NoteOldest(const PolicyView& policy, uint32_t now, uint32_t* budget) {
  uint32_t oldest = kNil;
  if (const Slot fresh = OldestFresh(budget)) oldest = fresh.value.tick();
  if (const Slot used = OldestUsed(budget)) {
    const uint32_t unit_begin = head_->wheel_base << head_->unit_shift;
    oldest = std::min({oldest, used.value.tick(), unit_begin});
  }
  if (*budget == 0 || policy.Expired(oldest, now)) return;
  StoreRelaxed(head_->oldest_tick, oldest);
}

}  // namespace limpet::shm
