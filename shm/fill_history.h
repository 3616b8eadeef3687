// The course of the zones' fill levels over the last hour, so that a status page that has just been
// opened has something to show. One writer (the master), readers anywhere without a lock: what they
// see may be a sample short.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>
#include <vector>

namespace limpet::shm {

class FillHistory {
 public:
  static constexpr uint64_t kEveryMs = 20'000;
  static constexpr size_t kSamples = 180;

  void Add(double share) {
    const uint64_t n = added_.load(std::memory_order_relaxed);
    shares_[n % kSamples].store(static_cast<uint16_t>(share * kOne), std::memory_order_relaxed);
    added_.store(n + 1, std::memory_order_release);
  }
  std::vector<double> OldestFirst() const;

 private:
  friend class FillHistories;
  static constexpr double kOne = 60'000;

  std::atomic<uint64_t> zone_{0};  // hash of its name; 0: free
  std::atomic<uint64_t> added_{0};
  std::array<std::atomic<uint16_t>, kSamples> shares_{};
};

// By name; the first so many zones have one.
class FillHistories {
 public:
  FillHistory* FindOrAdd(std::string_view zone);  // null: no place is left
  const FillHistory* Find(std::string_view zone) const;

 private:
  std::array<FillHistory, 32> zones_{};
};

}  // namespace limpet::shm
