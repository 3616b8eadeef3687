// How long a session has been in use, from its first use to its last: what rotation weighs. A small
// floating-point number of seconds in six bits, in steps of a quarter at most; up to 27 hours.
//
// A use adds the time since the one before, in whole units of the step: as many as there were
// multiples of the unit on the clock in between. So many short times add up to the long one without
// anything else to keep, and a hundred uses within a second are a second at most. Never more than
// half as much again as it was.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace limpet::shm {

class UseSpan {
 public:
  // 63 is never one: see SessionRecord.
  static constexpr uint8_t kMost = 62;
  static constexpr uint32_t kTicksPerSecond = 10;

  constexpr UseSpan() = default;
  constexpr explicit UseSpan(uint8_t code) : code_(std::min(code, kMost)) {}
  // Rounded down.
  static constexpr UseSpan OfSeconds(uint32_t seconds) {
    if (seconds < 4) return UseSpan(static_cast<uint8_t>(seconds));
    const auto octave = static_cast<uint32_t>(std::bit_width(seconds)) - 2;
    const uint32_t code = octave * 4 + (seconds >> (octave - 1) & 3);
    return UseSpan(static_cast<uint8_t>(std::min<uint32_t>(code, kMost)));
  }

  constexpr uint8_t code() const { return code_; }
  constexpr uint32_t seconds() const { return code_ < 4 ? code_ : (4u + code_ % 4) << Shift(); }
  // After a use at tick `to`, when the last one was at `from`.
  constexpr UseSpan Used(uint32_t from, uint32_t to) const {
    if (to <= from) return *this;
    const uint32_t units = (to / kTicksPerSecond >> Shift()) - (from / kTicksPerSecond >> Shift());
    return units == 0 ? *this : OfSeconds(seconds() + (units << Shift()));
  }
  constexpr auto operator<=>(const UseSpan&) const = default;

 private:
  constexpr uint32_t Shift() const { return code_ < 4 ? 0 : code_ / 4u - 1; }

  uint8_t code_ = 0;
};

// What rotation makes of it. A grade's sessions stand in a wheel of their own, and go when they
// have been idle for its grace longer than those of the lowest: four times what they were in use at
// least. So a session that was in use for long outlives one that was used twice in a second, and
// gives way, too, when it stays away.
inline constexpr uint32_t kGrades = 3;
inline constexpr UseSpan kGradeFrom[kGrades] = {UseSpan(), UseSpan::OfSeconds(16),
                                                UseSpan::OfSeconds(256)};

constexpr uint32_t GradeOf(UseSpan span) {
  return uint32_t{span >= kGradeFrom[1]} + uint32_t{span >= kGradeFrom[2]};
}
constexpr uint32_t GraceTicks(uint32_t grade) {
  return 4 * kGradeFrom[grade].seconds() * UseSpan::kTicksPerSecond;
}

}  // namespace limpet::shm
