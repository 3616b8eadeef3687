// Which session of a shard goes next: the lists of a shard, and what is given up or collected from
// their fronts.
#include <algorithm>
#include <bit>

#include "shm/death_points.h"
#include "shm/shard.h"

namespace limpet::shm {
namespace {

// Sessions put in their place, at most, to find the next one to give up; and when one is added to a
// shard with room.
constexpr uint32_t kLooks = 512;
constexpr uint32_t kTidy = 4;
constexpr uint32_t kNewest = 8;         // looked at from the other end then
constexpr uint32_t kPaceSamples = 256;  // of new sessions, for each time that they fill the shard
constexpr uint32_t kPaceShare = 32;     // the pace is taken so often in that time
constexpr uint32_t kFreshShare =
    16;  // those never looked up may keep one in that many places against older ones

}  // namespace

void Shard::ResetQueues() {
  for (uint32_t list = slot_count_; list < slot_count_ + kLists; ++list)
    Link(list) = QueueLink::Of(list, list);
  head_->fresh = 0;
  head_->arrangement = kArrangement;
  BeginWheel(0);
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

// One in so many new sessions counts, so that the line which lookups read is seldom written. Of how
// long the shard lasts at this pace, uses are known to a sixtieth.
void Shard::NotePace(uint64_t tag, uint32_t now) {
  const uint32_t one_in = std::bit_floor(geometry_->shard_capacity / kPaceSamples | 1u);
  if (tag % one_in != 0 || ++head_->pace_samples < kPaceSamples / kPaceShare) return;
  const uint32_t took = PolicyView::Age(head_->pace_tick, now);
  StoreRelaxed(head_->touch_ticks, std::max(took / 2, 1u));
  StoreRelaxed(head_->touch_until, now + 2 * took + 2);
  head_->pace_samples = 0;
  head_->pace_tick = now;
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
      PrefetchFront(take_used ? PlaceOf(head_->wheel_base) : FreshList());
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
    oldest = std::min({oldest, used.value.tick(), head_->wheel_base});
  }
  if (*budget == 0 || policy.Expired(oldest, now)) return;
  StoreRelaxed(head_->oldest_tick, oldest);
}

}  // namespace limpet::shm
