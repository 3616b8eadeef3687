// The leaky buckets of one limit_req_zone, shared by all workers and kept over reloads. Requests
// and rates are counted in thousandths, so that slow rates lose nothing to rounding. A full table
// forgets the key that was not seen for longest. If a worker dies inside, the table is emptied: at
// worst one burst passes. Any worker may call; times are CLOCK_MONOTONIC milliseconds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/hash.h"
#include "shm/key_table.h"
#include "shm/use_order.h"

namespace limpet::shm {

// What is left of `excess` after `ms`, and one request more. Clocks of two workers may differ by a
// little: ms below 0.
constexpr uint64_t ExcessAfter(uint64_t excess, int64_t ms, uint64_t rate) {
  if (ms < -60000) {
    ms = 1;  // the clock was turned back far: do not stand still for that long
  } else if (ms < 0) {
    ms = 0;
  }
  const uint64_t leaked = rate * static_cast<uint64_t>(ms) / 1000;
  return excess + 1000 > leaked ? excess + 1000 - leaked : 0;
}

class LimitReqTable {
 public:
  // Formats fresh memory, all zero, or goes on with a table of this layout; before any fork.
  LimitReqTable(std::byte* memory, size_t bytes) : table_(memory, bytes) {}

  Digest128 KeyOf(std::string_view value) const { return table_.KeyOf(value); }

  // The excess that one more request would make, in thousandths of a request; changes nothing.
  uint64_t Peek(const Digest128& key, uint64_t rate, uint64_t now_ms);
  // The same, and the request counts unless the excess is above `burst`.
  uint64_t Account(const Digest128& key, uint64_t rate, uint64_t burst, uint64_t now_ms);

  uint32_t capacity() const { return table_.capacity(); }
  uint32_t used() const { return table_.used(); }

  // Raise the number when an excess, its units or its clock come to mean something else; see
  // KeyTable::LayoutOf.
  static constexpr uint64_t Layout() { return Table::LayoutOf(1); }

 private:
  struct Entry {
    Digest128 key{};
    uint64_t last_ms = 0;
    uint64_t excess = 0;
    uint32_t next = 0;
    uint32_t newer = 0, older = 0;  // in the order of use; links are entry numbers
  };
  static_assert(sizeof(Entry) == 48);
  using Table = KeyTable<Entry, UseOrder>;
  using Guard = EmptyingGuard<Table>;

  Table table_;
};

}  // namespace limpet::shm
