// Which session of a shard goes next: the lists of a shard, and what is given up or collected from
// their fronts.
#include <algorithm>
#include <bit>

#include "shm/death_points.h"
#include "shm/shard.h"

namespace limpet::shm {
namespace {

// Sessions put in their place, at most, to find the next one of a queue to give up; and when one is
// added to a shard with room.
constexpr uint32_t kLooks = 512;
constexpr uint32_t kTidy = 4;
constexpr uint32_t kNewest = 8;         // looked at from the other end then
constexpr uint32_t kPaceSamples = 256;  // of new sessions, for each time that they fill the shard
constexpr uint32_t kPaceShare = 32;     // the pace is taken so often in that time
constexpr uint32_t kOwnShare = 16;      // a queue may keep one in that many places against others

// The higher, the later it goes.
int64_t Rank(const Value& value) {
  constexpr int64_t kFresh = int64_t{1} << 32;
  if (!value.referenced()) return value.tick() - kFresh;
  return int64_t{value.tick()} + GraceTicks(GradeOf(value.span()));
}

}  // namespace

void Shard::ResetQueues() {
  for (uint32_t list = slot_count_; list < slot_count_ + kLists; ++list)
    Link(list) = QueueLink::Of(list, list);
  head_->fresh = 0;
  for (uint32_t grade = 0; grade < kGrades; ++grade) wheels_[grade] = {};
  head_->arrangement = kArrangement;
  StoreRelaxed(head_->oldest_tick, kNil);
}

void Shard::Unlink(uint32_t slot) {
  const QueueLink link = Link(slot);
  Link(link.prev()).SetNext(link.next());
  MayDie(DeathPoint::kRelinking);
  Link(link.next()).SetPrev(link.prev());
  if (link.queue() == 0) {
    --head_->fresh;
  } else {
    --wheels_[link.queue() - 1].sessions;
  }
}

void Shard::LinkBefore(uint32_t slot, uint32_t next, uint32_t queue) {
  const uint32_t prev = Link(next).prev();
  Link(slot) = QueueLink::Of(next, prev, queue);
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
  LinkBefore(slot, next, 0);
  ++head_->fresh;
}

void Shard::MoveUp(const Slot& slot) {
  Unlink(slot.index);
  MayDie(DeathPoint::kMovingUp);
  PushWheel(slot.index, GradeOf(slot.value.span()), slot.value.tick());
}

// The front of the list of the never looked up, after those that were have left it.
Slot Shard::OldestFresh(uint32_t* budget) {
  while (!Empty(FreshList()) && *budget > 0) {
    const Slot slot = At(Link(FreshList()).next());
    if (!slot.value.referenced()) return slot;
    MoveUp(slot);
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
  looks = kTidy;
  (void)OldestUsed(head_->live % kGrades, &looks);
}

// What the next one to give up a session looks at first, and what takes that one's place. (Inlined:
// see Prefetch().)
[[gnu::always_inline]] inline void Shard::PrefetchFront(uint32_t queue) const {
  const uint32_t list = queue == 0 ? FreshList() : PlaceOf(queue - 1, wheels_[queue - 1].base);
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

// The one of a queue that would go first.
Slot Shard::FrontOf(uint32_t queue) {
  uint32_t looks = kLooks;
  if (queue > 0) return OldestUsed(queue - 1, &looks);
  const Slot fresh = OldestFresh(&looks);
  return looks == 0 ? NewestFresh() : fresh;
}

// The fronts of those that may have to give, from the lowest on: what leaves one may become the
// front of the next. A wheel whose very base has the higher rank than a session that may go is not
// looked into.
void Shard::FindFronts(const PolicyView& policy, uint32_t now, Slot (&fronts)[kQueues]) {
  int64_t lowest = INT64_MAX;
  for (uint32_t queue = 0; queue < kQueues; ++queue) {
    if (queue > 0) {
      const uint32_t base = wheels_[queue - 1].base;
      const bool may_go =
          policy.Expired(base, now) || int64_t{base} + GraceTicks(queue - 1) < lowest;
      if (!may_go) continue;
    }
    fronts[queue] = FrontOf(queue);
    if (fronts[queue] && !HasItsShare(queue)) lowest = std::min(lowest, Rank(fronts[queue].value));
  }
}

// No more than that: the share of the places that a queue may keep against higher ones.
bool Shard::HasItsShare(uint32_t queue) const {
  return In(queue) <= geometry_->shard_capacity / kOwnShare;
}

// Of those fronts; kNil if there is none. An expired one first. A flood of clients that
// never return takes places from its own kind, not from those who do return; and one of clients
// that return at once, from its own kind, not from those who have stayed. But a queue has a share
// of the places for itself, where against higher ones only idle time counts: else nobody could
// begin to stay while the table is full of those who do.
uint32_t Shard::NextToGo(const Slot (&fronts)[kQueues], const PolicyView& policy,
                         uint32_t now) const {
  uint32_t next = kNil;
  for (uint32_t queue = kQueues; queue-- > 0;) {
    if (!fronts[queue]) continue;
    const Value& front = fronts[queue].value;
    if (policy.Expired(front.tick(), now)) return queue;
    const bool goes = next == kNil || (HasItsShare(queue) ? front.tick() < fronts[next].value.tick()
                                                          : Rank(front) < Rank(fronts[next].value));
    if (goes) next = queue;
  }
  return next;
}

Shard::Gave Shard::GiveUp(const PolicyView& policy, uint32_t now, bool only_expired) {
  for (;;) {
    Slot fronts[kQueues];
    FindFronts(policy, now, fronts);
    const uint32_t queue = NextToGo(fronts, policy, now);
    if (queue == kNil) return Gave::kNothing;
    const bool expired = policy.Expired(fronts[queue].value.tick(), now);
    if (only_expired && !expired) return Gave::kNothing;
    if (Remove(fronts[queue])) {
      PrefetchFront(queue);
      return expired ? Gave::kExpired : Gave::kLive;
    }
  }
}

bool Shard::GiveUpNear(const Fingerprint& key) {
  for (;;) {
    Slot victim;
    for (const uint32_t bucket : {First(key.tag), Second(key.tag)}) {
      for (uint32_t i = 0; i < kSlotsPerBucket; ++i) {
        const Slot slot = At(bucket * kSlotsPerBucket + i);
        if (slot && (!victim || Rank(slot.value) < Rank(victim.value))) victim = slot;
      }
    }
    if (!victim || Remove(victim)) return static_cast<bool>(victim);
  }
}

bool Shard::CollectOne(const PolicyView& policy, uint32_t now, uint32_t* budget) {
  for (uint32_t queue = 0; queue < kQueues; ++queue) {
    const Slot front = queue == 0 ? OldestFresh(budget) : OldestUsed(queue - 1, budget);
    if (front && policy.Expired(front.value.tick(), now)) return Remove(front);
  }
  return false;
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
  for (uint32_t grade = 0; grade < kGrades; ++grade) {
    if (const Slot used = OldestUsed(grade, budget))
      oldest = std::min({oldest, used.value.tick(), wheels_[grade].base});
  }
  if (*budget == 0 || policy.Expired(oldest, now)) return;
  StoreRelaxed(head_->oldest_tick, oldest);
}

}  // namespace limpet::shm
