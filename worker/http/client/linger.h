// How long what a client still sends is read and thrown away, so that no reset takes from it what
// it has not read yet: lingering_time in all, and no silence longer than lingering_timeout.
#pragma once

#include <algorithm>
#include <cstdint>

#include "conf/config.h"
#include "worker/net/loop.h"

namespace limpet::worker {

class LingerClock {
 public:
  void Begin(const conf::ClientSettings& settings, uint64_t now_ms) {
    timeout_ms_ = Ms(settings.lingering_timeout);
    until_ms_ = now_ms + Ms(settings.lingering_time);
  }
  bool over(uint64_t now_ms) const { return now_ms >= until_ms_; }
  // What a timer is armed with, anew after each read: at least 1.
  uint64_t NextMs(uint64_t now_ms) const {
    const uint64_t left = over(now_ms) ? 0 : until_ms_ - now_ms;
    return std::max<uint64_t>(std::min(left, timeout_ms_), 1);
  }

 private:
  uint64_t timeout_ms_ = 0;
  uint64_t until_ms_ = 0;
};

}  // namespace limpet::worker
