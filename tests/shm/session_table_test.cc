#include "shm/session_table.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "shm/death_points.h"
#include "shm/snapshot.h"
#include "shm/zone.h"
#include "tests/shm/table_fixture.h"

namespace limpet::shm {
namespace {

using namespace std::chrono_literals;

constexpr size_t kMiB = 1 << 20;

TEST(SessionTable, BindsAndFinds) {
  TestTable t(64 * 1024);
  const uint16_t peer = t.table.PeerIndex("10.0.0.1:80");
  EXPECT_EQ(t.Lookup(1).result, LookupResult::kMiss);
  EXPECT_EQ(t.Learn(1, peer), LearnResult::kCreated);
  const Found found = t.Lookup(1);
  EXPECT_EQ(found.result, LookupResult::kHit);
  EXPECT_EQ(found.peer, peer);
  EXPECT_EQ(t.Lookup(2).result, LookupResult::kMiss);
  EXPECT_EQ(t.table.Live(), 1u);
}

TEST(SessionTable, LearningAgainRefreshesOrRebinds) {
  TestTable t(64 * 1024);
  const uint16_t a = t.table.PeerIndex("a");
  const uint16_t b = t.table.PeerIndex("b");
  t.Learn(1, a);
  EXPECT_EQ(t.Learn(1, a), LearnResult::kRefreshed);
  EXPECT_EQ(t.Learn(1, b), LearnResult::kRebound);
  EXPECT_EQ(t.Lookup(1).peer, b);
  EXPECT_EQ(t.table.PeerLive(a), 0u);
  EXPECT_EQ(t.table.PeerLive(b), 1u);
  EXPECT_EQ(t.table.Live(), 1u);
}

TEST(SessionTable, AgeIsCheckedAtLookup) {
  TestTable t(64 * 1024, {.timeout = 2s});
  t.Learn(1, t.table.PeerIndex("a"));
  t.now += 2000;
  EXPECT_TRUE(t.Hit(1));
  t.now += 200;
  EXPECT_EQ(t.Lookup(1).result, LookupResult::kExpired);
  EXPECT_EQ(t.table.Live(), 1u);  // not collected yet
}

TEST(SessionTable, UseKeepsASessionAlive) {
  TestTable t(64 * 1024, {.timeout = 1s});
  t.Learn(1, t.table.PeerIndex("a"));
  for (int i = 0; i < 20; ++i) {
    t.now += 900;
    ASSERT_EQ(t.Lookup(1).result, LookupResult::kHit) << i;
  }
  for (int i = 0; i < 20; ++i) {
    t.now += 900;
    ASSERT_TRUE(t.table.Touch(t.Key(1), t.now)) << i;
  }
  t.now += 1200;
  EXPECT_FALSE(t.table.Touch(t.Key(1), t.now));
}

TEST(SessionTable, PeekLeavesNoTrace) {
  TestTable t(64 * 1024, {.timeout = 1s});
  t.Learn(1, t.table.PeerIndex("a"));
  t.now += 900;
  EXPECT_TRUE(t.Hit(1));
  t.now += 900;
  EXPECT_FALSE(t.Hit(1));
  EXPECT_EQ(t.table.Sum().lookups, 0u);
}

TEST(SessionTable, NoRefreshIsAnAbsoluteLifetime) {
  TestTable t(64 * 1024, {.timeout = 2s, .norefresh = true});
  t.Learn(1, t.table.PeerIndex("a"));
  for (int i = 0; i < 4; ++i, t.now += 500) ASSERT_EQ(t.Lookup(1).result, LookupResult::kHit);
  t.Learn(1, t.table.PeerIndex("a"));
  t.now += 200;
  EXPECT_EQ(t.Lookup(1).result, LookupResult::kExpired);
}

TEST(SessionTable, AnExpiredSessionIsCreatedAnew) {
  TestTable t(64 * 1024, {.timeout = 1s});
  const uint16_t a = t.table.PeerIndex("a");
  const uint16_t b = t.table.PeerIndex("b");
  t.Learn(1, a);
  t.Lookup(1);
  t.now += 1500;
  EXPECT_EQ(t.Learn(1, b), LearnResult::kCreated);
  EXPECT_EQ(t.Lookup(1).peer, b);
  EXPECT_EQ(t.table.Live(), 1u);
  EXPECT_EQ(t.table.Check(t.now), "");
}

TEST(SessionTable, ForgetsOne) {
  TestTable t(64 * 1024);
  t.Learn(1, t.table.PeerIndex("a"));
  EXPECT_TRUE(t.table.Forget(t.Key(1), t.now));
  EXPECT_FALSE(t.table.Forget(t.Key(1), t.now));
  EXPECT_FALSE(t.Hit(1));
  EXPECT_EQ(t.table.Live(), 0u);
}

TEST(SessionTable, CapacityIsKnownFromTheSizeAndReached) {
  EXPECT_GE(SessionTable::CapacityFor(kMiB), 36'000u);
  for (const size_t bytes : {32 * 1024ul, 64 * 1024ul, 256 * 1024ul, kMiB, 10 * kMiB}) {
    TestTable t(bytes);
    const uint16_t peer = t.table.PeerIndex("a");
    const uint64_t capacity = SessionTable::CapacityFor(bytes);
    for (uint64_t i = 0; i < capacity * 5 / 4; ++i) t.Learn(i, peer);
    EXPECT_EQ(t.table.Capacity(), capacity);
    EXPECT_EQ(t.table.Live(), capacity) << bytes;
    EXPECT_EQ(t.table.Check(t.now), "");
    RecordProperty("capacity_" + std::to_string(bytes), static_cast<int>(capacity));
  }
}

TEST(SessionTable, RefusesWhenFullIfItMayNotRotate) {
  TestTable t(kMiB, {.rotate = false});
  const uint16_t peer = t.table.PeerIndex("a");
  uint64_t refused_from = 0;
  for (uint64_t i = 0; i < 2 * t.table.Capacity(); ++i) {
    if (t.Learn(i, peer) == LearnResult::kRefused && refused_from == 0) refused_from = i;
  }
  EXPECT_GE(refused_from, t.table.Capacity() * 94 / 100);  // shards do not fill alike
  EXPECT_GE(t.table.Live(), t.table.Capacity() * 995 / 1000);
  EXPECT_EQ(t.table.Sum().rotated, 0u);
  EXPECT_GT(t.table.Sum().refused, 0u);
  for (uint64_t i = 0; i < refused_from; ++i) ASSERT_TRUE(t.Hit(i));
  t.now += 3600'000;  // what has expired makes room without a collector
  EXPECT_EQ(t.Learn(9'999'999, peer), LearnResult::kCreated);
}

TEST(SessionTable, RotatesTheOldest) {
  TestTable t(kMiB);
  const uint16_t peer = t.table.PeerIndex("a");
  const uint64_t capacity = t.table.Capacity();
  for (uint64_t i = 0; i < 2 * capacity; ++i) {
    t.Learn(i, peer);
    if (i % 64 == 0) t.now += 100;
  }
  uint64_t young = 0;
  for (uint64_t i = capacity + capacity / 10; i < 2 * capacity; ++i) young += t.Hit(i) ? 1 : 0;
  EXPECT_EQ(young, 2 * capacity - (capacity + capacity / 10));  // shards differ a little, no more
  for (uint64_t i = 0; i < capacity * 9 / 10; ++i) ASSERT_FALSE(t.Hit(i)) << i;
}

TEST(SessionTable, CollectsWhatHasExpiredAndNothingElse) {
  TestTable t(kMiB, {.timeout = 60s});
  const uint16_t peer = t.table.PeerIndex("a");
  for (uint64_t i = 0; i < 20'000; ++i) t.Learn(i, peer);
  t.now += 50'000;
  for (uint64_t i = 0; i < 5'000; ++i) t.Lookup(i);
  EXPECT_EQ(t.CollectAll(), 0u);
  t.now += 11'000;
  EXPECT_EQ(t.CollectAll(), 15'000u);
  EXPECT_EQ(t.table.Live(), 5'000u);
  EXPECT_EQ(t.table.Sum().collected, 15'000u);
  EXPECT_EQ(t.table.Check(t.now), "");
  t.now += 65'000;
  EXPECT_EQ(t.CollectAll(), 5'000u);
  EXPECT_EQ(t.table.Live(), 0u);
}

TEST(SessionTable, AnotherTimeoutHoldsAtOnce) {
  TestTable t(256 * 1024, {.timeout = 600s});
  const uint16_t peer = t.table.PeerIndex("a");
  for (uint64_t i = 0; i < 1000; ++i) t.Learn(i, peer);
  t.now += 60'000;
  for (uint64_t i = 0; i < 500; ++i) t.Lookup(i);
  t.table.SetPolicy({.timeout = 30s});
  EXPECT_EQ(t.Peek(900).result, LookupResult::kExpired);
  EXPECT_EQ(t.CollectAll(), 500u);
  EXPECT_EQ(t.table.Check(t.now), "");
  EXPECT_EQ(t.table.Policy().timeout, 30s);
}

TEST(SessionTable, ARetiredPeersSessionsAreItsOwnUntilTheyAreBoundToAnother) {
  TestTable t(64 * 1024);
  const uint16_t a = t.table.PeerIndex("a");
  const uint16_t b = t.table.PeerIndex("b");
  t.Learn(1, a);
  t.Learn(2, a);
  t.table.RetirePeer(a);
  EXPECT_EQ(t.Lookup(1).peer, a);
  EXPECT_EQ(t.Peek(1).peer, a);
  EXPECT_TRUE(t.table.Touch(t.Key(1), t.now));
  EXPECT_EQ(t.Learn(2, b), LearnResult::kRebound);
  EXPECT_EQ(t.Learn(2, a), LearnResult::kRefused);
  EXPECT_EQ(t.table.PeerIndex("a"), a);
  EXPECT_EQ(t.Lookup(1).peer, a);
  EXPECT_EQ(t.Lookup(2).peer, b);
}

// A worker of the configuration before may have a request there still.
TEST(SessionTable, ASessionMayBeginAtARetiredPeer) {
  TestTable t(64 * 1024);
  const uint16_t a = t.table.PeerIndex("a");
  const uint16_t b = t.table.PeerIndex("b");
  t.table.RetirePeer(a);
  EXPECT_EQ(t.Learn(1, a), LearnResult::kCreated);
  EXPECT_EQ(t.Learn(1, a), LearnResult::kRefreshed);
  EXPECT_EQ(t.Lookup(1).peer, a);
  EXPECT_EQ(t.Learn(1, b), LearnResult::kRebound);
  EXPECT_EQ(t.table.Check(t.now), "");
}

TEST(SessionTable, ARetiredPeersSessionsGoAlongIntoAnotherTable) {
  TestTable t(64 * 1024);
  const uint16_t a = t.table.PeerIndex("a");
  t.Learn(1, a);
  t.table.RetirePeer(a);
  TestTable copy(64 * 1024);
  EXPECT_EQ(Migrate(t.table, &copy.table, t.now).moved, 1u);
  TestTable loaded(64 * 1024);
  const SnapshotTime now{t.now, 1, "boot"};
  EXPECT_EQ(Decode(Encode(t.table, now), &loaded.table, now)->moved, 1u);
  for (TestTable* other : {&copy, &loaded}) {
    ASSERT_TRUE(other->Hit(1));
    EXPECT_EQ(other->table.PeerName(other->Peek(1).peer), "a");
  }
}

TEST(SessionTable, PeersAreForgottenAndMovedInSteps) {
  TestTable t(kMiB);
  const uint16_t a = t.table.PeerIndex("a");
  const uint16_t b = t.table.PeerIndex("b");
  for (uint64_t i = 0; i < 10'000; ++i) t.Learn(i, i % 2 == 0 ? a : b);
  PeerWalk move;
  while (move.more) t.table.MovePeer(a, b, 256, t.now, &move);
  EXPECT_EQ(move.changed, 5'000u);
  EXPECT_EQ(t.table.PeerLive(b), 10'000u);
  EXPECT_EQ(t.Peek(0).peer, b);
  PeerWalk forget;
  while (forget.more) t.table.ForgetPeer(b, 256, t.now, &forget);
  EXPECT_EQ(forget.changed, 10'000u);
  EXPECT_EQ(t.table.Live(), 0u);
  EXPECT_EQ(t.table.Check(t.now), "");
}

TEST(SessionTable, CountsPerWorkerAndInSum) {
  TestTable t(kMiB, {.timeout = 1s});
  const uint16_t peer = t.table.PeerIndex("a");
  t.table.AttachWorker(1);
  t.Learn(1, peer);
  t.Lookup(1);
  t.Lookup(2);
  t.table.AttachWorker(2);
  t.table.CountUsed();
  t.table.CountTooLong();
  t.now += 2000;
  t.Lookup(1);
  const SessionCounters sum = t.table.Sum();
  EXPECT_EQ(sum.lookups, 3u);
  EXPECT_EQ(sum.hits, 1u);
  EXPECT_EQ(sum.misses, 1u);
  EXPECT_EQ(sum.expired, 1u);
  EXPECT_EQ(sum.used, 1u);
  EXPECT_EQ(sum.too_long, 1u);
  EXPECT_EQ(t.table.PerWorker()[1].created, 1u);
  EXPECT_EQ(t.table.PerWorker()[2].lookups, 1u);
}

TEST(SessionTable, AttachSaysWhatDoesNotFit) {
  TestTable t(64 * 1024);
  EXPECT_TRUE(SessionTable::Attach(t.memory.get(), t.bytes));
  EXPECT_FALSE(SessionTable::Attach(t.memory.get(), t.bytes / 2));
  auto* header = reinterpret_cast<ZoneHeader*>(t.memory.get());
  header->key[0] ^= 1;
  EXPECT_FALSE(SessionTable::Attach(t.memory.get(), t.bytes));
  header->key[0] ^= 1;
  header->version = 77;
  EXPECT_FALSE(SessionTable::Attach(t.memory.get(), t.bytes));
  header->version = kLayoutVersion;
  header->magic[0] = 'x';
  EXPECT_FALSE(SessionTable::Attach(t.memory.get(), t.bytes));
}

// A bot that keeps no cookies makes a session per request; clients that return must not pay for it.
TEST(SessionTable, AFloodOfNewSessionsDoesNotPushOutThoseThatReturn) {
  TestTable t(kMiB);
  const uint16_t peer = t.table.PeerIndex("a");
  const uint64_t regulars = t.table.Capacity() / 2;
  for (uint64_t i = 0; i < regulars; ++i) {
    t.Learn(i, peer);
    t.Lookup(i);
  }
  const uint64_t flood = 10 * t.table.Capacity();
  for (uint64_t i = 0; i < flood; ++i) {
    t.Learn(1'000'000 + i, peer);
    if (i % 1000 == 0) t.now += 100;
  }
  uint64_t kept = 0;
  for (uint64_t i = 0; i < regulars; ++i) kept += t.Hit(i) ? 1 : 0;
  RecordProperty("regulars", static_cast<int>(regulars));
  RecordProperty("kept_in_a_flood_of_ten_tables", static_cast<int>(kept));
  EXPECT_EQ(kept, regulars);  // plain LRU keeps none
  // And a newcomer lasts long enough to return, even among regulars only.
  t.Learn(77'000'000, peer);
  for (uint64_t i = 0; i < t.table.Capacity() / 32; ++i) t.Learn(88'000'000 + i, peer);
  EXPECT_TRUE(t.Hit(77'000'000));
}

TEST(SessionTable, FillLimitsAreKeptInTheZone) {
  TestTable t(64 * 1024);
  t.table.SetFillLimits({.minor = 0.5, .major = 0.875, .crit = 1.0});
  const FillLimits limits = SessionTable(t.table).GetFillLimits();
  EXPECT_DOUBLE_EQ(limits.minor, 0.5);
  EXPECT_DOUBLE_EQ(limits.major, 0.875);
  EXPECT_DOUBLE_EQ(limits.crit, 1.0);
}

TEST(SessionTable, TheOldestAgeBoundsAllSessions) {
  TestTable t(64 * 1024);
  EXPECT_EQ(t.table.OldestAge(t.now).count(), 0);
  t.Learn(1, t.table.PeerIndex("a"));
  t.now += 5000;
  t.Learn(2, t.table.PeerIndex("a"));
  EXPECT_EQ(t.table.OldestAge(t.now), 5s);
  t.table.Forget(t.Key(1), t.now);
  t.table.Forget(t.Key(2), t.now);
  EXPECT_EQ(t.table.OldestAge(t.now + 1000).count(), 0);
}

TEST(SessionTable, LearnsOneThatWasUsedBefore) {
  TestTable t(SessionTable::kMinBytes, {.timeout = 60min});
  t.now = 5'000'000;
  const uint16_t peer = t.table.PeerIndex("a");
  EXPECT_EQ(t.table.LearnUsed(t.Key(1), peer, t.now - 40 * 60'000, t.now), LearnResult::kCreated);
  EXPECT_EQ(t.Peek(1).idle, 40min);
  EXPECT_EQ(t.Learn(1, peer), LearnResult::kRefreshed);
  EXPECT_EQ(t.table.LearnUsed(t.Key(1), peer, t.now - 40 * 60'000, t.now), LearnResult::kRefreshed);
  EXPECT_EQ(t.Peek(1).idle, 0min);  // what was used since stays used
  EXPECT_EQ(t.table.Check(t.now), "");
}

// As a snapshot brings them, and a store.
TEST(SessionTable, LearnsOneThatWasUsedBeforeThisBoot) {
  TestTable t(SessionTable::kMinBytes, {.timeout = 60min});
  t.now = 60'000;
  const uint16_t peer = t.table.PeerIndex("a");
  t.table.LearnUsed(t.Key(1), peer, t.now - 40 * 60'000, t.now);
  EXPECT_EQ(t.Peek(1).idle, 40min);
  t.table.LearnUsed(t.Key(2), peer, t.now - 70 * 60'000, t.now);
  EXPECT_FALSE(t.Hit(2));
  EXPECT_EQ(t.table.Check(t.now), "");
}

// The shard is set right by whoever locks it next: by the clock, not by what that one brings.
TEST(SessionTable, RepairedForAnOldSessionKeepsTheTimesOfOthers) {
  const Zone memory = *Zone::Anonymous(SessionTable::kMinBytes);
  SessionTable table = SessionTable::Format(memory.data(), memory.size(), kTestKey);
  table.SetPolicy({.timeout = 60min});
  const uint64_t now = 5'000'000;
  const uint16_t peer = table.PeerIndex("a");
  constexpr int kSessions = 40;
  const auto key = [&](int n) { return table.KeyOf("used-" + std::to_string(n)); };
  for (int n = 0; n < kSessions; ++n) {
    table.Learn(key(n), peer, now);
    const pid_t child = ::fork();
    if (child == 0) {
      g_death_hook = [](DeathPoint) { ::_exit(0); };  // with the lock
      table.Forget(key(n), now);
    }
    ::waitpid(child, nullptr, 0);
    table.LearnUsed(table.KeyOf("old-" + std::to_string(n)), peer, now - 50 * 60'000, now);
  }
  for (int n = 0; n < kSessions; ++n) EXPECT_EQ(table.Peek(key(n), now).idle, 0min) << n;
  EXPECT_GT(table.Sum().repaired, 0u);
}

// Whoever has waited for the lock of one that died brings a time from before.
TEST(SessionTable, RepairedAfterAWaitKeepsWhatWasUsedMeanwhile) {
  const Zone memory = *Zone::Anonymous(SessionTable::kMinBytes);
  SessionTable table = SessionTable::Format(memory.data(), memory.size(), kTestKey);
  table.SetPolicy({.timeout = 5s});  // a use is written down after 300 ms
  const uint16_t a = table.PeerIndex("a");
  const uint16_t b = table.PeerIndex("b");
  const SessionKey key = table.KeyOf("used");
  table.Learn(key, a, BootMs());
  const pid_t child = ::fork();
  if (child == 0) {
    g_death_hook = [](DeathPoint) { ::raise(SIGSTOP); };  // with the lock
    table.Forget(key, BootMs());
    ::_exit(0);
  }
  ::waitpid(child, nullptr, WUNTRACED);
  std::atomic<bool> waits{false};
  std::thread other([table, &key, &waits, b]() mutable {
    const uint64_t now = BootMs();
    waits = true;
    table.Learn(key, b, now);
  });
  while (!waits) ::poll(nullptr, 0, 1);
  const uint64_t begin = BootMs();
  while (BootMs() < begin + 600) ::poll(nullptr, 0, 10);  // in earnest: a mutex has no other clock
  EXPECT_EQ(table.Lookup(key, BootMs()).peer, a);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  other.join();
  EXPECT_GT(table.Sum().repaired, 0u);
  EXPECT_EQ(table.Peek(key, BootMs()).peer, b);
  EXPECT_LT(table.Peek(key, BootMs()).idle, 400ms);
}

}  // namespace
}  // namespace limpet::shm
