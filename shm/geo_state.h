// What processes share of a database of addresses (worker/geo): which of its two copies in memory
// is the current one, and figures. Lies in zeroed memory that the master maps before it forks, and
// lives as long as a generation uses the copies. Anybody may read. Only the process that holds
// the other copy for writing changes it; `last_check_s` anybody may set.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

namespace limpet::shm {

struct GeoState {
  std::atomic<uint32_t> current;  // copy 0 or 1
  std::atomic<uint64_t> serial;   // grows whenever `current` has changed
  // Of the file as it was looked at last, whether it was good or bad; see GeoFile.
  std::atomic<uint64_t> seen;
  std::atomic<bool> refused_now;            // that one was bad: an earlier one is used
  std::atomic<uint64_t> replaced, refused;  // how often the file was another one: good, or bad
  // Seconds since 1970: when the current copy was built, when the file was looked at, when the
  // current copy was read.
  std::atomic<int64_t> build_epoch, last_check_s, last_change_s;
};
static_assert(std::is_trivially_destructible_v<GeoState>);

}  // namespace limpet::shm
