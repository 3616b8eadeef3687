#include "shm/store_workers.h"

#include <algorithm>

namespace limpet::shm {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

StoreWorkers::Line& StoreWorkers::Of(int32_t pid) {
  for (size_t i = 0; i < kLines; ++i) {
    if (lines_[i].pid.load(kRelaxed) == pid) return lines_[i];
  }
  for (size_t i = 0; i < kLines; ++i) {
    int32_t nobody = 0;
    if (lines_[i].pid.compare_exchange_strong(nobody, pid, std::memory_order_acquire)) {
      return lines_[i];  // empty, as Free() has left it
    }
  }
  return lines_.back();
}

uint64_t StoreWorkers::Forget(int32_t pid) {
  uint64_t waited = 0;
  if (pid == 0) return waited;
  for (size_t i = 0; i < kLines; ++i) {
    if (lines_[i].pid.load(kRelaxed) == pid) waited += Free(lines_[i]);
  }
  return waited;
}

uint64_t StoreWorkers::KeepOnly(std::span<const int32_t> pids) {
  uint64_t waited = 0;
  for (size_t i = 0; i < kLines; ++i) {
    const int32_t pid = lines_[i].pid.load(kRelaxed);
    if (pid != 0 && std::ranges::find(pids, pid) == pids.end()) waited += Free(lines_[i]);
  }
  return waited;
}

// Whoever takes the line next finds it empty.
uint64_t StoreWorkers::Free(Line& line) {
  const uint32_t waited = line.waiting.exchange(0, kRelaxed);
  line.asking.store(0, kRelaxed);
  line.pid.store(0, std::memory_order_release);
  return waited;
}

uint64_t StoreWorkers::Sum(std::atomic<uint32_t> Line::*gauge) const {
  uint64_t sum = 0;
  for (const Line& line : lines_) sum += (line.*gauge).load(kRelaxed);
  return sum;
}

}  // namespace limpet::shm
