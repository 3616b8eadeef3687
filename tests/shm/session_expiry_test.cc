// A million sessions expire at once: collecting them takes many short steps, and no lock is held
// for long.
#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <vector>

#include "tests/shm/table_fixture.h"

namespace limpet::shm {
namespace {

constexpr uint64_t kSessions = 1'000'000;

// The processor's time, so that what others do on this machine is not held against us.
uint64_t CpuNs() {
  timespec ts{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
  return static_cast<uint64_t>(ts.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(ts.tv_nsec);
}

// Collects a million sessions; the microseconds of a step, lock included, that one in a thousand
// takes longer than (the very longest may have been interrupted).
uint64_t CollectAMillion() {
  TestTable t(32 << 20);
  const uint16_t peer = t.table.PeerIndex("a");
  for (uint64_t i = 0; i < kSessions; ++i)
    t.table.Learn({{i * 0x9E37'79B9'7F4A'7C15 + 1, i}}, peer, t.now);
  EXPECT_EQ(t.table.Live(), kSessions);
  t.now += 601'000;
  std::vector<uint64_t> steps;
  uint64_t collected = 0;
  for (CollectResult step{0, true}; step.more; collected += step.collected) {
    const uint64_t begin = CpuNs();
    step = t.table.CollectStep(t.now);
    steps.push_back((CpuNs() - begin) / 1000);
  }
  EXPECT_EQ(collected, kSessions);
  EXPECT_EQ(t.table.Live(), 0u);
  // And once there is nothing to collect, a step is a glance.
  const uint64_t begin = CpuNs();
  for (int i = 0; i < 1000; ++i) (void)t.table.CollectStep(t.now);
  EXPECT_LT((CpuNs() - begin) / 1000, 50'000u);  // 50 us each, even unoptimised
  std::sort(steps.begin(), steps.end());
  return steps[steps.size() * 999 / 1000];
}

TEST(SessionExpiry, AMillionAtOnceInShortSteps) {
  // Other processes empty our caches: the best of a few rounds tells what the work itself costs.
  constexpr uint64_t kLongest = 50;
  uint64_t best = CollectAMillion();
  for (int round = 1; round < 4 && best > kLongest; ++round) {
    best = std::min(best, CollectAMillion());
  }
  RecordProperty("p999_us", static_cast<int>(best));
  EXPECT_LE(best, kLongest) << "us";
}

}  // namespace
}  // namespace limpet::shm
