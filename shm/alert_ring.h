// The last lines that an operator should have seen, for status pages: the log remembers them all,
// this ring the newest. Lives in shared memory; any process may add (a few words are copied, no
// lock is taken), any may read. A line that is being written while it is read is left out.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"

namespace limpet::shm {

struct Alert {
  uint64_t number = 0;    // counts all alerts since limpet started, from 1
  int64_t wall_ms = 0;    // since 1970, to be shown
  uint64_t since_ms = 0;  // MonotonicMs
  LogLevel level = LogLevel::kNotice;
  std::string text;  // cut off where it was too long
};

class AlertRing {
 public:
  static constexpr size_t kAlerts = 64;
  static constexpr size_t kMaxText = 224;

  void Add(LogLevel level, std::string_view text);
  // Unless the same has been added within so long: of what many requests meet. False: it has.
  bool AddOncePer(std::chrono::milliseconds time, LogLevel level, std::string_view text);
  std::vector<Alert> Newest() const;  // newest first

 private:
  struct Entry {
    std::atomic<uint64_t> number;  // 0: nothing, or being written; stored last
    std::atomic<int64_t> wall_ms;
    std::atomic<uint64_t> since_ms;
    std::atomic<uint32_t> level;
    std::atomic<uint32_t> size;
    std::array<std::atomic<uint64_t>, kMaxText / 8> text;
  };
  static_assert(sizeof(Entry) == 256);

  std::atomic<uint64_t> added_{0};
  std::array<Entry, kAlerts> entries_{};
};

}  // namespace limpet::shm
