// The storm's other half, for ThreadSanitizer: threads in place of processes, each with its own
// view of one table.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "tests/shm/table_fixture.h"

namespace limpet::shm {
namespace {

constexpr uint64_t kKeys = 3000;
constexpr uint16_t kPeers = 4;

// Lookups and changes of all kinds; returns how often something impossible was seen.
int Work(SessionTable table, int slot, uint64_t begin_ms, int steps) {
  table.AttachWorker(slot);
  std::mt19937_64 random(static_cast<uint64_t>(slot));
  int wrong = 0;
  for (int i = 0; i < steps; ++i) {
    const uint64_t now = begin_ms + static_cast<uint64_t>(i);
    const uint64_t n = random() % kKeys;
    const SessionKey key = table.KeyOf("session-" + std::to_string(n));
    const Found found = table.Lookup(key, now);
    wrong += found.result == LookupResult::kHit && found.peer != n % kPeers ? 1 : 0;
    switch (random() % 8) {
      case 0:
      case 1:
        table.Learn(key, static_cast<uint16_t>(n % kPeers), now);
        break;
      case 2:
        table.Forget(key, now);
        break;
      case 3:
        table.Touch(key, now);
        break;
      case 4:
        table.CollectStep(now);
        break;
      case 5:
        (void)(table.Live() + table.PeerLive(1) + table.Sum().hits);
        break;
      default:
        break;
    }
  }
  return wrong;
}

TEST(SessionThreads, SeeOnlyWhatWasBound) {
  TestTable t(32 * 1024, {.timeout = std::chrono::seconds(2)});
  for (int i = 0; i < kPeers; ++i) t.table.PeerIndex("peer-" + std::to_string(i));
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int slot = 0; slot < 4; ++slot) {
    threads.emplace_back([&, slot] { wrong += Work(t.table, slot, t.now, 50'000); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(t.table.Check(t.now + 100'000), "");
  EXPECT_GT(t.table.Sum().rotated, 0u);
}

}  // namespace
}  // namespace limpet::shm
