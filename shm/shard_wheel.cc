// The wheels of a shard: the sessions that were looked up, so that the one idle longest of each
// grade is found.
//
// Five levels of 16 lists. A session stands at the level of the highest digit (of four bits) in
// which its tick differs from the wheel's base, in that digit's list; at the base's own tick, in
// the list of its lowest digit. The base follows the sessions: where it comes into a list of a
// higher level, that list's sessions spread over the levels below, so that each moves four times
// at most until its very tick is next. The highest level is a ring: 15 of its lists, 27 hours, are
// ahead of the base; what is later moves once more for each 27 hours.
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

Slot OlderOf(const Slot& best, const Slot& other) {
  return other && other.value.tick() < best.value.tick() ? other : best;
}

}  // namespace

void Shard::BeginWheel(uint32_t grade, uint32_t tick) {
  wheels_[grade].base = wheels_[grade].newest_tick = tick;
}

void Shard::PushWheel(uint32_t slot, uint32_t grade, uint32_t tick) {
  if (wheels_[grade].sessions == 0) BeginWheel(grade, tick);
  if (tick < wheels_[grade].base) TurnBack(grade, tick);
  LinkAt(slot, grade, tick);
}

// One from before the base, where that could not go back so far, is the next to go.
void Shard::LinkAt(uint32_t slot, uint32_t grade, uint32_t tick) {
  WheelHead& wheel = wheels_[grade];
  const uint32_t place = PlaceOf(grade, tick);
  wheel.newest_tick = std::max(wheel.newest_tick, tick);
  LinkBefore(slot, tick < wheel.base ? Link(place).next() : place, grade + 1);
  ++wheel.sessions;
}

// Never beyond the wheel's reach: too early a place is put right when its turn comes.
uint32_t Shard::PlaceOf(uint32_t grade, uint32_t tick) const {
  const uint32_t base = wheels_[grade].base;
  tick = std::max(tick, base);
  const uint32_t ahead = std::min(TopDistance(base, tick), kWheelDigits - 1);
  if (ahead > 0) return WheelList(grade, kTop, Digit(base, kTop) + ahead);
  const uint32_t level = LevelOf(tick, base);
  return WheelList(grade, level, Digit(tick, level));
}

// The base goes back for a session older than it. What was spread since then comes together again.
void Shard::TurnBack(uint32_t grade, uint32_t tick) {
  const uint32_t base = wheels_[grade].base;
  if (TopDistance(tick, wheels_[grade].newest_tick) >= kWheelDigits) return;
  const uint32_t level = LevelOf(tick, base);
  const uint32_t together = WheelList(grade, level, Digit(base, level));
  for (uint32_t below = 0; below < level; ++below) {
    for (uint32_t digit = Digit(base, below); digit < kWheelDigits; ++digit)
      Splice(WheelList(grade, below, digit), together);
  }
  wheels_[grade].base = tick;
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
uint32_t Shard::FrontList(uint32_t grade) {
  for (uint32_t level = kTop; level > 0; --level) {  // not yet spread
    const uint32_t list = WheelList(grade, level, Digit(wheels_[grade].base, level));
    if (!Empty(list)) return list;
  }
  uint32_t list = NextList(grade, 0, 0);
  for (uint32_t level = 1; list == kNil && level < kWheelLevels; ++level)
    list = NextList(grade, level, 1);
  return list;
}

uint32_t Shard::NextList(uint32_t grade, uint32_t level, uint32_t from) {
  const uint32_t base = wheels_[grade].base;
  const uint32_t ahead = NextAhead(grade, level, from);
  if (ahead == kWheelDigits) return kNil;
  if (ahead > 0) wheels_[grade].base = ((base >> Shift(level)) + ahead) << Shift(level);
  return WheelList(grade, level, Digit(base, level) + ahead);
}

// How many digits after the base's the first list of a level is that has sessions, from `from` on;
// kWheelDigits: none has.
uint32_t Shard::NextAhead(uint32_t grade, uint32_t level, uint32_t from) const {
  const uint32_t digit = Digit(wheels_[grade].base, level);
  const uint32_t end = level == kTop ? kWheelDigits : kWheelDigits - digit;
  for (uint32_t ahead = from; ahead < end; ++ahead) {
    if (!Empty(WheelList(grade, level, digit + ahead))) return ahead;
  }
  return kWheelDigits;
}

// The oldest of those that a list, which is not yet spread to its end, has given so far; none if it
// is of a higher grade by now.
Slot Shard::OldestSpread(uint32_t grade) const {
  for (uint32_t level = 0; level < kTop; ++level) {
    const uint32_t ahead = NextAhead(grade, level, level == 0 ? 0 : 1);
    if (ahead == kWheelDigits) continue;
    const Slot slot =
        At(Link(WheelList(grade, level, Digit(wheels_[grade].base, level) + ahead)).next());
    return GradeOf(slot.value.span()) > grade ? Slot{} : slot;
  }
  return {};
}

// One of those that came into it last: for when so many at its front are of a higher grade by now
// that the front is not sorted out yet.
Slot Shard::NewestUsed(uint32_t grade) const {
  constexpr uint32_t kNewest = 8;
  uint32_t index = Link(PlaceOf(grade, wheels_[grade].newest_tick)).prev();
  for (uint32_t i = 0; i < kNewest && index < slot_count_; ++i) {
    if (const Slot slot = At(index); slot && GradeOf(slot.value.span()) <= grade) return slot;
    index = Link(index).prev();
  }
  return {};
}

// The front of a wheel, after those that belong further back have left it, and those of a higher
// grade by now; where there are too many of them, the one of those idle longest.
Slot Shard::OldestUsed(uint32_t grade, uint32_t* budget) {
  Slot best;
  while (wheels_[grade].sessions > 0) {
    const uint32_t list = FrontList(grade);
    if (list == kNil) return best;
    const Slot slot = At(Link(list).next());
    const bool moves_up = GradeOf(slot.value.span()) > grade;
    if (!moves_up) {
      if (slot.value.tick() <= wheels_[grade].base) return slot;
      if (!best || slot.value.tick() < best.value.tick()) best = slot;
    }
    if (*budget == 0) return best ? OlderOf(best, OldestSpread(grade)) : NewestUsed(grade);
    --*budget;
    if (moves_up) {
      MoveUp(slot);
    } else {
      Unlink(slot.index);
      LinkAt(slot.index, grade, slot.value.tick());
    }
  }
  return best;
}

}  // namespace limpet::shm
