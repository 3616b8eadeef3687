#include "shm/robust_mutex.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <new>
#include <thread>

#include "shm/session_table.h"
#include "shm/shard.h"
#include "shm/zone.h"

namespace limpet::shm {
namespace {

using std::chrono::milliseconds;

// A child that is stopped while it holds a lock, until it is killed.
class StoppedHolder {
 public:
  explicit StoppedHolder(RobustMutex& mutex) : pid_(::fork()) {
    if (pid_ == 0) {
      (void)mutex.Lock();
      ::raise(SIGSTOP);
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(pid_, &status, WUNTRACED);
    EXPECT_TRUE(WIFSTOPPED(status));
  }
  ~StoppedHolder() { Kill(); }
  StoppedHolder(const StoppedHolder&) = delete;
  StoppedHolder& operator=(const StoppedHolder&) = delete;

  void Kill() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_;
};

class RobustMutexTest : public ::testing::Test {
 protected:
  RobustMutexTest() {
    mutex_->Init();
    LockPatience::WaitForNone();
  }
  ~RobustMutexTest() override { LockPatience::WaitForAll(); }

  Zone zone_ = *Zone::Anonymous(4096);
  RobustMutex* mutex_ = new (zone_.data()) RobustMutex;
};

TEST_F(RobustMutexTest, IsTakenWhereItIsFree) {
  EXPECT_TRUE(IfFree([&] { EXPECT_EQ(mutex_->Lock(), RobustMutex::Owner::kFine); }));
  mutex_->Unlock();
}

TEST_F(RobustMutexTest, IsNotWaitedForByWhoNeverWaits) {
  StoppedHolder holder(*mutex_);
  bool went_on = false;
  EXPECT_FALSE(IfFree([&] {
    (void)mutex_->Lock();
    went_on = true;
  }));
  EXPECT_FALSE(went_on);
  holder.Kill();
  EXPECT_TRUE(IfFree([&] { EXPECT_EQ(mutex_->Lock(), RobustMutex::Owner::kDied); }));
  mutex_->MarkRepaired();
  mutex_->Unlock();
}

TEST_F(RobustMutexTest, IsWaitedForAsLongAsPatienceLastsForAllTogether) {
  const StoppedHolder holder(*mutex_);
  const auto begin = std::chrono::steady_clock::now();
  {
    const LockPatience patience(milliseconds(50));
    for (int i = 0; i < 100; ++i) EXPECT_FALSE(IfFree([&] { (void)mutex_->Lock(); }));
  }
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(50));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(100 * 50));
  EXPECT_FALSE(IfFree([&] { (void)mutex_->Lock(); })) << "and not beyond its scope";
}

TEST_F(RobustMutexTest, ItIsSaidThatAProcessWaits) {
  std::atomic<uint64_t> waits{0};
  LockPatience::WaitForAll(&waits);
  StoppedHolder holder(*mutex_);
  EXPECT_EQ(waits, 0u);
  std::thread other([&] {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (waits == 0 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    EXPECT_EQ(waits, 1u);
    holder.Kill();
  });
  EXPECT_EQ(mutex_->Lock(), RobustMutex::Owner::kDied);
  EXPECT_EQ(waits, 0u);
  other.join();
  mutex_->MarkRepaired();
  mutex_->Unlock();
}

// Of two shards the first is locked: the second is collected all the same.
TEST_F(RobustMutexTest, OfATableKeepsNobodyFromCollectingTheOtherShards) {
  const size_t bytes = 256 << 10;
  const Zone memory = *Zone::Anonymous(bytes);
  SessionTable table = SessionTable::Format(memory.data(), bytes);
  const Geometry geometry = Geometry::For(bytes);
  ASSERT_GE(geometry.shards, 2u);
  const uint16_t peer = table.PeerIndex("a");
  for (uint64_t i = 0; i < 1000; ++i) {
    table.Learn({{i * 0x9E37'79B9'7F4A'7C15 + 1, i}}, peer, 1'000'000);
  }
  Shard first(memory.data() + geometry.shards_offset, geometry);
  StoppedHolder holder(first.head().lock);
  const uint32_t kept = first.Live();
  int busy = 0;
  for (int i = 0; i < 1000; ++i) {
    busy += IfFree([&] { (void)table.CollectStep(2'000'000); }) ? 0 : 1;
  }
  EXPECT_GT(busy, 0);
  EXPECT_EQ(table.Live(), kept);
  holder.Kill();
  while (table.CollectStep(2'000'000).more) {
  }
  EXPECT_EQ(table.Live(), 0u);
}

TEST_F(RobustMutexTest, OfATableKeepsNobodyFromACopyOfIt) {
  const size_t bytes = 64 << 10;
  const Zone memory = *Zone::Anonymous(bytes);
  SessionTable table = SessionTable::Format(memory.data(), bytes);
  const uint16_t peer = table.PeerIndex("a");
  for (uint64_t i = 0; i < 100; ++i) {
    table.Learn({{i * 0x9E37'79B9'7F4A'7C15 + 1, i}}, peer, 1'000'000);
  }
  const Geometry geometry = Geometry::For(bytes);
  const StoppedHolder holder(Shard(memory.data() + geometry.shards_offset, geometry).head().lock);
  EXPECT_EQ(table.Export(1'000'000).size(), 100u);
}

}  // namespace
}  // namespace limpet::shm
