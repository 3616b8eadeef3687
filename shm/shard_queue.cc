// Which session of a shard goes next: the lists of a shard, and what is given up or collected from
// their fronts.
#include <algorithm>

#include "shm/death_points.h"
#include "shm/shard.h"

namespace limpet::shm {
namespace {

// Sessions put in their place, at most, to find the next one to give up; and when one is added to a
// shard with room.
constexpr uint32_t kLooks = 512;
constexpr uint32_t kTidy = 4;
constexpr uint32_t kNewest = 8;  // looked at from the other end then
constexpr uint32_t kFreshShare =
    16;  // those never looked up may keep one in that many places against older ones

}  // namespace

void Shard::ResetQueues(const PolicyView& policy) {
  for (uint32_t list = slot_count_; list < slot_count_ + kLists; ++list)
    Link(list) = QueueLink::Of(list, list);
  head_->fresh = 0;
  head_->wheel_base = head_->newest_unit = 0;
  head_->unit_shift = policy.unit_shift;
  StoreRelaxed(head_->oldest_tick, kNil);
}

void Shard::Unlink(uint32_t slot) {
  const QueueLink link = Link(slot);
  Link(link.prev()).SetNext(link.next());
  MayDie(DeathPoint::kRelinking);
  Link(link.next()).SetPrev(link.prev());
  if (link.fresh()) --head_->fresh;
}

void Shard::LinkBefore(uint32_t slot, uint32_t next) {
  const uint32_t prev = Link(next).prev();
  Link(slot) = QueueLink::Of(next, prev);
  Link(prev).SetNext(slot);
  MayDie(DeathPoint::kRelinking);
  Link(next).SetPrev(slot);
}

void Shard::TakeOver(uint32_t from, uint32_t to) {
  const QueueLink link = Link(from);
  Link(to) = link;
  Link(link.prev()).SetNext(to);
  Link(link.next()).SetPrev(to);
}

void Shard::LinkFresh(uint32_t slot, uint32_t next) {
  LinkBefore(slot, next);
  Link(slot).MarkFresh();
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
    LinkBefore(slot, Link(WheelList(head_->wheel_base)).next());
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
    const Slot slot = At(Link(FreshList()).next());
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
  uint32_t index = Link(FreshList()).prev();
  for (uint32_t i = 0; i < kNewest && index != FreshList(); ++i) {
    if (const Slot slot = At(index); !slot.value.referenced()) return slot;
    index = Link(index).prev();
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
    const Slot slot = At(Link(WheelList(head_->wheel_base)).next());
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

// What the next one to give up a session looks at first, and what takes that one's place. (Inlined:
// see Prefetch().)
[[gnu::always_inline]] inline void Shard::PrefetchFront(uint32_t list) const {
  const uint32_t next = Link(list).next();
  if (next >= slot_count_) return;
  __builtin_prefetch(&ValOf(next), 1);
  const uint32_t after = Link(next).next();
  __builtin_prefetch(&Link(after), 1);
  if (after < slot_count_) __builtin_prefetch(&ValOf(after), 1);
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
      PrefetchFront(take_used ? WheelList(head_->wheel_base) : FreshList());
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
