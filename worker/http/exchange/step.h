// All that a step of routing is: a function of the exchange that says how to go on.
#pragma once

#include <cstdint>

namespace limpet::worker {

class Exchange;

enum class Step : uint8_t {
  kNext,     // go on with the next step
  kLocate,   // the URI changed: find its location again
  kContent,  // skip what is left but the content
  kSuspend,  // Resume() will be called
  kAgain,    // the same, and it runs this step again
  kDone,     // the response is on its way, or an internal redirect has started over
};

}  // namespace limpet::worker
