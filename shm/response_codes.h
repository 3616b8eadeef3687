// How many answers a peer has given with each status code. Servers use few of them: those beyond
// kPlaces different ones are counted by class only (PeerState::responses).
//
// One process writes at a time, under the lock of the peer's group; reading needs no lock.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace limpet::shm {

struct ResponseCodes {
  static constexpr size_t kPlaces = 24;
  static constexpr int kCountBits = 54;
  static constexpr uint64_t kCountMask = (uint64_t{1} << kCountBits) - 1;

  void Add(int status) {
    const uint64_t code = static_cast<uint64_t>(status) << kCountBits;
    for (auto& place : places) {
      const uint64_t old = place.load(std::memory_order_relaxed);
      if (old != 0 && (old & ~kCountMask) != code) continue;
      place.store((code | old) + 1, std::memory_order_relaxed);
      return;
    }
  }
  // In the order in which they first came.
  template <class Visit>
  void ForEach(Visit visit) const {
    for (const auto& place : places) {
      const uint64_t value = place.load(std::memory_order_relaxed);
      if (value != 0) visit(static_cast<int>(value >> kCountBits), value & kCountMask);
    }
  }

  std::atomic<uint64_t> places[kPlaces]{};  // the code, and its count in the lower bits; 0: none
};
static_assert(sizeof(ResponseCodes) % 64 == 0);

}  // namespace limpet::shm
