#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "shm/limit_conn_table.h"
#include "shm/limit_req_table.h"
#include "shm/zone.h"

namespace limpet::shm {
namespace {

constexpr uint64_t kTwoPerSecond = 2000;

template <class Table>
class Zoned {
 public:
  explicit Zoned(size_t bytes = 65536)
      : memory_(*Zone::Anonymous(bytes)), table_(memory_.data(), memory_.size()) {}
  Table* operator->() { return &table_; }

 private:
  Zone memory_;
  Table table_;
};

TEST(ExcessAfter, CountsARequestAndWhatHasLeaked) {
  EXPECT_EQ(ExcessAfter(0, 0, kTwoPerSecond), 1000u);
  EXPECT_EQ(ExcessAfter(1000, 250, kTwoPerSecond), 1500u);
  EXPECT_EQ(ExcessAfter(1000, 1000, kTwoPerSecond), 0u);
  EXPECT_EQ(ExcessAfter(0, 100, 1'000'000), 0u) << "never below zero";
}

TEST(ExcessAfter, StandsStillWhileTheClockIsBehind) {
  EXPECT_EQ(ExcessAfter(500, -20, kTwoPerSecond), 1500u);
  EXPECT_EQ(ExcessAfter(500, -70'000, kTwoPerSecond), 1498u) << "far behind: one millisecond";
}

TEST(LimitReqTable, ChargesTheSecondRequestOfABurst) {
  Zoned<LimitReqTable> table;
  const auto key = table->KeyOf("client");
  EXPECT_EQ(table->Account(key, kTwoPerSecond, 1000, 5000), 0u);
  EXPECT_EQ(table->Account(key, kTwoPerSecond, 1000, 5000), 1000u);
  EXPECT_EQ(table->Account(key, kTwoPerSecond, 1000, 5000), 2000u);
  EXPECT_EQ(table->Account(key, kTwoPerSecond, 1000, 5000), 2000u) << "a refused one costs nothing";
  EXPECT_EQ(table->Account(key, kTwoPerSecond, 1000, 5500), 1000u) << "one request has leaked";
}

TEST(LimitReqTable, PeekChangesNothing) {
  Zoned<LimitReqTable> table;
  const auto key = table->KeyOf("client");
  EXPECT_EQ(table->Peek(key, kTwoPerSecond, 5000), 0u);
  EXPECT_EQ(table->used(), 0u);
  table->Account(key, kTwoPerSecond, UINT64_MAX, 5000);
  EXPECT_EQ(table->Peek(key, kTwoPerSecond, 5000), 1000u);
  EXPECT_EQ(table->Peek(key, kTwoPerSecond, 5000), 1000u);
}

TEST(LimitReqTable, KeysDoNotShareBuckets) {
  Zoned<LimitReqTable> table;
  table->Account(table->KeyOf("a"), kTwoPerSecond, 0, 5000);
  EXPECT_EQ(table->Account(table->KeyOf("b"), kTwoPerSecond, 0, 5000), 0u);
}

TEST(LimitReqTable, AFullTableForgetsTheKeyUnusedForLongest) {
  Zoned<LimitReqTable> table(4096);
  const uint32_t capacity = table->capacity();
  ASSERT_GT(capacity, 10u);
  const auto key = [&](uint32_t i) { return table->KeyOf(std::to_string(i)); };
  for (uint32_t i = 0; i < capacity; ++i) table->Account(key(i), 1, 1'000'000, 5000);
  table->Account(key(0), 1, 1'000'000, 5001);         // used again: now 1 is the oldest
  table->Account(key(capacity), 1, 1'000'000, 5002);  // one too many
  EXPECT_EQ(table->used(), capacity);
  EXPECT_GT(table->Peek(key(0), 1, 5003), 0u);
  EXPECT_EQ(table->Peek(key(1), 1, 5003), 0u);
  EXPECT_GT(table->Peek(key(2), 1, 5003), 0u);
}

using Verdict = LimitConnTable::Verdict;

TEST(LimitConnTable, TakesPlacesUpToTheLimit) {
  Zoned<LimitConnTable> table;
  const auto key = table->KeyOf("client");
  EXPECT_EQ(table->Take(key, 2, 0), Verdict::kTaken);
  EXPECT_EQ(table->Take(key, 2, 0), Verdict::kTaken);
  EXPECT_EQ(table->Take(key, 2, 0), Verdict::kLimited);
  table->Release(key, 0);
  EXPECT_EQ(table->Take(key, 2, 0), Verdict::kTaken);
}

TEST(LimitConnTable, CountsAllWorkersTogether) {
  Zoned<LimitConnTable> table;
  const auto key = table->KeyOf("client");
  EXPECT_EQ(table->Take(key, 2, 0), Verdict::kTaken);
  EXPECT_EQ(table->Take(key, 2, 1), Verdict::kTaken);
  EXPECT_EQ(table->Take(key, 2, 2), Verdict::kLimited);
  EXPECT_EQ(table->Count(key), 2u);
}

TEST(LimitConnTable, AKeyWithoutPlacesCostsNoMemory) {
  Zoned<LimitConnTable> table;
  const auto key = table->KeyOf("client");
  table->Take(key, 5, 0);
  EXPECT_EQ(table->used(), 1u);
  table->Release(key, 0);
  EXPECT_EQ(table->used(), 0u);
}

TEST(LimitConnTable, SaysWhenThereIsNoRoom) {
  Zoned<LimitConnTable> table(4096);
  for (uint32_t i = 0; i < table->capacity(); ++i) {
    ASSERT_EQ(table->Take(table->KeyOf(std::to_string(i)), 1, 0), Verdict::kTaken);
  }
  EXPECT_EQ(table->Take(table->KeyOf("one more"), 1, 0), Verdict::kTableFull);
}

TEST(LimitConnTable, ADeadWorkersPlacesAreFree) {
  Zoned<LimitConnTable> table;
  const auto key = table->KeyOf("client");
  table->Take(key, 9, 1);
  table->Take(key, 9, 1);
  table->Take(key, 9, 2);
  table->ForgetWorker(1);
  EXPECT_EQ(table->Count(key), 1u);
}

// The places that a child takes are seen by its parent, and go with it.
TEST(LimitConnTable, IsSharedOverFork) {
  Zoned<LimitConnTable> table;
  const auto key = table->KeyOf("client");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    table->Take(key, 9, 3);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(table->Count(key), 1u);
  table->ForgetWorker(3);
  EXPECT_EQ(table->Count(key), 0u);
}

struct Plain {
  Digest128 key{};
  uint32_t next = 0;
  uint32_t value = 0;
};
struct None {};

// A process that puts eight keys into the table and ends without giving the lock back.
void DieInside(KeyTable<Plain, None>& table) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (table.Lock() != RobustMutex::Owner::kFine) ::_exit(1);
    for (uint32_t i = 0; i < 8; ++i) table[table.Insert({i, i})].value = i % 2;
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
}

TEST(KeyTable, AnOwnersDeathIsToldAndRelinkKeepsWhatIsLive) {
  auto memory = *Zone::Anonymous(4096);
  KeyTable<Plain, None> table(memory.data(), memory.size());
  ASSERT_NO_FATAL_FAILURE(DieInside(table));
  ASSERT_EQ(table.Lock(), RobustMutex::Owner::kDied);
  table.Relink([](const Plain& entry) { return entry.value == 1; });
  table.MarkRepaired();
  table.Unlock();
  EXPECT_EQ(table.used(), 4u);
  ASSERT_EQ(table.Lock(), RobustMutex::Owner::kFine);
  for (uint64_t i = 0; i < 8; ++i) {
    EXPECT_EQ(table.Find({i, i}) != table.kNone, i % 2 == 1) << i;
  }
  table.Unlock();
}

TEST(EmptyingGuard, ThrowsAwayWhatADeadOwnerHasLeft) {
  auto memory = *Zone::Anonymous(4096);
  KeyTable<Plain, None> table(memory.data(), memory.size());
  ASSERT_NO_FATAL_FAILURE(DieInside(table));
  {
    const EmptyingGuard<KeyTable<Plain, None>> guard(table);
    EXPECT_EQ(table.used(), 0u);
    EXPECT_EQ(table.Find({1, 1}), table.kNone);
  }
  ASSERT_EQ(table.Lock(), RobustMutex::Owner::kFine);
  table.Unlock();
}

}  // namespace
}  // namespace limpet::shm
