// Time that the test moves. All of the program's clocks stand still, libevent's included: they are
// read through clock_gettime(2), which still_clock.cc defines in its place.
#pragma once

#include <cstdint>

namespace limpet {

void MoveClock(uint64_t ms);  // forward, never back

}  // namespace limpet
