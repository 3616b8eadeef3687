#include "worker/accept_share.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace limpet::worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr int64_t kFree = 4;          // so few more are no unevenness: short requests never wait
constexpr int64_t kPart = 8;          // nor is an eighth
constexpr int kMostInARow = 4;        // then the others do not seem to take it
constexpr int kTakenAtOnce = 3;       // then, and by who has the fewest, beside the first
constexpr uint64_t kSilentMs = 2500;  // more than two beats

bool IsSilent(const shm::WorkerPulse& pulse, uint64_t now_ms) {
  return pulse.beat_ms.load(kRelaxed) + kSilentMs < now_ms;
}

}  // namespace

AcceptShare::Others AcceptShare::LookAtOthers(uint64_t now_ms) const {
  Others others{std::numeric_limits<int64_t>::max(), 0};
  for (size_t i = 0; i < in_.pulses->slots.size(); ++i) {
    const shm::WorkerPulse& pulse = in_.pulses->slots[i];
    if (pulse.accepts_for.load(kRelaxed) != in_.generation) continue;
    if (IsSilent(pulse, now_ms)) continue;
    const shm::WorkerCounters& counters = in_.counters->slots[i];
    others.fewest = std::min(others.fewest, counters.active.load(kRelaxed));
    others.accepted += counters.accepted.load(kRelaxed);
  }
  return others;
}

bool AcceptShare::AnotherGenerationAccepts(uint64_t now_ms) const {
  return std::ranges::any_of(in_.pulses->slots, [&](const shm::WorkerPulse& pulse) {
    const uint64_t generation = pulse.accepts_for.load(kRelaxed);
    return generation != 0 && generation != in_.generation && !IsSilent(pulse, now_ms);
  });
}

bool AcceptShare::MayAccept(uint64_t now_ms) {
  const int64_t own = in_.counters->slots[static_cast<size_t>(in_.slot)].active.load(kRelaxed);
  if (own <= kFree) return true;
  if (owed_ > 0) return owed_-- > 0;
  const Others others = LookAtOthers(now_ms);
  if (own <= others.fewest) {
    owed_ = kTakenAtOnce;
    return true;
  }
  if (own <= others.fewest + kFree + others.fewest / kPart) return true;
  if (std::exchange(accepted_then_, others.accepted) != others.accepted) stood_back_ = 0;
  if (++stood_back_ <= kMostInARow) return false;
  stood_back_ = 0;
  owed_ = kTakenAtOnce;
  return true;
}

}  // namespace limpet::worker
