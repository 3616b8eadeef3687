// A session table over memory of the test's own, and a clock that the test turns.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>

#include "shm/session_table.h"

namespace limpet::shm {

constexpr SipKey kTestKey = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

struct FreeMemory {
  void operator()(std::byte* memory) const { std::free(memory); }
};

struct TestTable {
  explicit TestTable(size_t size, const SessionPolicy& policy = {})
      : bytes(size),
        memory(static_cast<std::byte*>(std::aligned_alloc(4096, (size + 4095) / 4096 * 4096))),
        table(SessionTable::Format(memory.get(), size, kTestKey)) {
    table.SetPolicy(policy);
  }

  SessionKey Key(uint64_t n) const { return table.KeyOf("session-" + std::to_string(n)); }
  Found Lookup(uint64_t n) { return table.Lookup(Key(n), now); }
  Found Peek(uint64_t n) const { return table.Peek(Key(n), now); }
  LearnResult Learn(uint64_t n, uint16_t peer) { return table.Learn(Key(n), peer, now); }
  bool Hit(uint64_t n) const { return Peek(n).result == LookupResult::kHit; }
  uint64_t CollectAll() {
    uint64_t sum = 0;
    for (CollectResult step{0, true}; step.more; sum += step.collected) {
      step = table.CollectStep(now);
    }
    return sum;
  }

  size_t bytes;
  std::unique_ptr<std::byte, FreeMemory> memory;
  SessionTable table;
  uint64_t now = 1'000'000;
};

}  // namespace limpet::shm
