// The wheel of a shard: the sessions that were looked up, so that the one idle longest is found.
//
// Four levels of 64 lists. A session stands at the level of the highest digit (of six bits) in
// which its tick differs from the wheel's base, in that digit's list; at the base's own tick, in
// the list of its lowest digit. The base follows the sessions: where it comes into a list of a
// higher level, that list's sessions spread over the levels below, so that each moves three times
// at most until its very tick is next. The highest level is a ring: 63 of its lists, 19 days, are
// ahead of the base.
#include <algorithm>
#include <bit>

#include "shm/death_points.h"
#include "shm/shard.h"

namespace limpet::shm {
namespace {

constexpr uint32_t kTop = kWheelLevels - 1;

constexpr uint32_t Shift(uint32_t level) { return level * kWheelBits; }
constexpr uint32_t Digit(uint32_t tick, uint32_t level) {
  return (tick >> Shift(level)) % kWheelDigits;
}
// Lists of the highest level from one tick to a later one.
constexpr uint32_t TopDistance(uint32_t tick, uint32_t later) {
  return (later >> Shift(kTop)) - (tick >> Shift(kTop));
}
constexpr uint32_t LevelOf(uint32_t tick, uint32_t base) {
  const auto bits = static_cast<uint32_t>(std::bit_width((tick ^ base) | 1));
  return std::min((bits - 1) / kWheelBits, kTop);
}

}  // namespace

void Shard::BeginWheel(uint32_t tick) { head_->wheel_base = head_->newest_tick = tick; }

void Shard::PushWheel(uint32_t slot, uint32_t tick) {
  if (head_->live == head_->fresh + 1) BeginWheel(tick);  // only this one is counted but not queued
  if (tick < head_->wheel_base) TurnBack(tick);
  LinkAt(slot, tick);
}

// One from before the base, where that could not go back so far, is the next to go.
void Shard::LinkAt(uint32_t slot, uint32_t tick) {
  const uint32_t place = PlaceOf(tick);
  head_->newest_tick = std::max(head_->newest_tick, tick);
  LinkBefore(slot, tick < head_->wheel_base ? Link(place).next() : place);
}

// Never beyond the wheel's reach: too early a place is put right when its turn comes.
uint32_t Shard::PlaceOf(uint32_t tick) const {
  const uint32_t base = head_->wheel_base;
  tick = std::max(tick, base);
  const uint32_t ahead = std::min(TopDistance(base, tick), kWheelDigits - 1);
  if (ahead > 0) return WheelList(kTop, Digit(base, kTop) + ahead);
  const uint32_t level = LevelOf(tick, base);
  return WheelList(level, Digit(tick, level));
}

// The base goes back for a session older than it. What was spread since then comes together again.
void Shard::TurnBack(uint32_t tick) {
  const uint32_t base = head_->wheel_base;
  if (TopDistance(tick, head_->newest_tick) >= kWheelDigits) return;
  const uint32_t level = LevelOf(tick, base);
  const uint32_t together = WheelList(level, Digit(base, level));
  for (uint32_t below = 0; below < level; ++below) {
    for (uint32_t digit = Digit(base, below); digit < kWheelDigits; ++digit)
      Splice(WheelList(below, digit), together);
  }
  head_->wheel_base = tick;
}

void Shard::Splice(uint32_t list, uint32_t to) {
  if (Empty(list)) return;
  const QueueLink moved = Link(list);
  const uint32_t end = Link(to).prev();
  Link(list) = QueueLink::Of(list, list);
  MayDie(DeathPoint::kRelinking);
  Link(end).SetNext(moved.next());
  Link(moved.next()).SetPrev(end);
  Link(moved.prev()).SetNext(to);
  Link(to).SetPrev(moved.prev());
}

// The list of the sessions that come next; the base is at its begin. kNil: the wheel is empty.
uint32_t Shard::FrontList() {
  for (uint32_t level = kTop; level > 0; --level) {  // not yet spread
    const uint32_t list = WheelList(level, Digit(head_->wheel_base, level));
    if (!Empty(list)) return list;
  }
  uint32_t list = NextList(0, 0);
  for (uint32_t level = 1; list == kNil && level < kWheelLevels; ++level) list = NextList(level, 1);
  return list;
}

uint32_t Shard::NextList(uint32_t level, uint32_t from) {
  const uint32_t base = head_->wheel_base;
  const uint32_t ahead = NextAhead(level, from);
  if (ahead == kWheelDigits) return kNil;
  if (ahead > 0) head_->wheel_base = ((base >> Shift(level)) + ahead) << Shift(level);
  return WheelList(level, Digit(base, level) + ahead);
}

// How many digits after the base's the first list of a level is that has sessions, from `from` on;
// kWheelDigits: none has.
uint32_t Shard::NextAhead(uint32_t level, uint32_t from) const {
  const uint32_t digit = Digit(head_->wheel_base, level);
  const uint32_t end = level == kTop ? kWheelDigits : kWheelDigits - digit;
  for (uint32_t ahead = from; ahead < end; ++ahead) {
    if (!Empty(WheelList(level, digit + ahead))) return ahead;
  }
  return kWheelDigits;
}

// The oldest of those that a list, which is not yet spread to its end, has given so far.
Slot Shard::OldestSpread() const {
  for (uint32_t level = 0; level < kTop; ++level) {
    const uint32_t ahead = NextAhead(level, level == 0 ? 0 : 1);
    if (ahead == kWheelDigits) continue;
    return At(Link(WheelList(level, Digit(head_->wheel_base, level) + ahead)).next());
  }
  return {};
}

// The front of the wheel, after those that belong further back have left it; where there are too
// many of them, the one of those idle longest.
Slot Shard::OldestUsed(uint32_t* budget) {
  if (head_->live == head_->fresh) return {};
  Slot best;
  for (;;) {
    const uint32_t list = FrontList();
    if (list == kNil) return best;
    const Slot slot = At(Link(list).next());
    if (slot.value.tick() <= head_->wheel_base) return slot;
    if (!best || slot.value.tick() < best.value.tick()) best = slot;
    if (*budget == 0) {
      const Slot spread = OldestSpread();
      return spread && spread.value.tick() < best.value.tick() ? spread : best;
    }
    Unlink(slot.index);
    LinkAt(slot.index, slot.value.tick());
    --*budget;
  }
}

}  // namespace limpet::shm
