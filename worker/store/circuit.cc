#include "worker/store/circuit.h"

#include <algorithm>
#include <utility>

namespace limpet::worker {

bool Circuit::OnAnswer() {
  retry_ms_ = kFirstRetryMs;
  return !std::exchange(closed_, true);
}

bool Circuit::OnTimeout() { return std::exchange(closed_, false); }

bool Circuit::OnLost() { return std::exchange(closed_, false); }

uint64_t Circuit::NextRetryMs(uint64_t random) {
  const uint64_t longest = retry_ms_;
  retry_ms_ = std::min(2 * retry_ms_, kLongestRetryMs);
  return longest - random % (longest / 2 + 1);
}

}  // namespace limpet::worker
