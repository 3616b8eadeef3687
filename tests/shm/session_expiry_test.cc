// A million sessions expire at once: collecting them takes many short steps, and no step does more
// than a bounded piece of work under a lock, whatever has expired. How long a step takes is
// measured by `scripts/bench store`.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/shm/table_fixture.h"

namespace limpet::shm {
namespace {

constexpr uint64_t kSessions = 1'000'000;

TEST(SessionExpiry, AMillionAtOnceInShortSteps) {
  TestTable t(32 << 20);
  const uint16_t peer = t.table.PeerIndex("a");
  for (uint64_t i = 0; i < kSessions; ++i)
    t.table.Learn({{i * 0x9E37'79B9'7F4A'7C15 + 1, i}}, peer, t.now);
  ASSERT_EQ(t.table.Live(), kSessions);
  t.now += 601'000;
  uint64_t collected = 0;
  uint64_t most = 0;
  for (CollectResult step{0, true}; step.more; collected += step.collected) {
    step = t.table.CollectStep(t.now);
    most = std::max(most, step.collected);
  }
  EXPECT_EQ(collected, kSessions);
  EXPECT_EQ(t.table.Live(), 0u);
  EXPECT_LE(most, kMostCollectedPerStep);
}

// With nothing expired a step is a glance at each shard: it takes no lock, which a lock that is
// held for good shows.
TEST(SessionExpiry, NothingExpiredTakesNoLock) {
  TestTable t(1 << 20);
  const uint16_t peer = t.table.PeerIndex("a");
  for (uint64_t i = 0; i < 10'000; ++i) t.Learn(i, peer);
  const Geometry geometry = Geometry::For(t.bytes);
  const auto lock = [&](uint32_t shard) -> RobustMutex& {
    std::byte* shards = t.memory.get() + geometry.shards_offset;
    return Shard(shards + uint64_t{shard} * geometry.shard_bytes, geometry).head().lock;
  };
  for (uint32_t i = 0; i < geometry.shards; ++i) (void)lock(i).Lock();
  const CollectResult step = t.table.CollectStep(t.now + 599'000);  // a lock would wait for ever
  // The C library keeps a list of the robust mutexes a thread holds: none may go away held.
  for (uint32_t i = 0; i < geometry.shards; ++i) lock(i).Unlock();
  EXPECT_EQ(step.collected, 0u);
  EXPECT_FALSE(step.more);
}

// Sessions that were used since they were queued are put in their place first: that work is bounded
// in the same way, and what has expired behind them is reached in the end.
TEST(SessionExpiry, UsedSessionsInFrontDoNotMakeAStepLonger) {
  TestTable t(4 << 20, {.timeout = std::chrono::seconds(60)});
  const uint16_t peer = t.table.PeerIndex("a");
  for (uint64_t i = 0; i < 100'000; ++i) t.Learn(i, peer);
  t.now += 50'000;
  for (uint64_t i = 0; i < 90'000; ++i) t.Lookup(i);
  t.now += 11'000;
  uint64_t steps = 0;
  uint64_t collected = 0;
  for (CollectResult step{0, true}; step.more; ++steps) {
    step = t.table.CollectStep(t.now);
    collected += step.collected;
    EXPECT_LE(step.collected, kMostCollectedPerStep);
  }
  EXPECT_EQ(collected, 10'000u);
  EXPECT_GE(steps, 100'000 / kMostCollectedPerStep);
}

}  // namespace
}  // namespace limpet::shm
