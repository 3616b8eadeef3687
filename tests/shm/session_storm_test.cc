// Processes hammer one table while a killer ends them with SIGKILL, inside the critical sections
// and out of them. After each death a checker takes every lock, which repairs what was half done,
// and looks at every invariant and at every session that must be there. LIMPET_STORM_KILLS sets how
// many deaths it takes (10,000 in the long run).
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <random>

#include "shm/death_points.h"
#include "tests/shm/table_fixture.h"

namespace limpet::shm {
namespace {

constexpr int kWorkers = 3;
constexpr uint64_t kKept =
    600;  // sessions that nobody may lose: looked up all the time, bound to n % kPeers
constexpr uint16_t kPeers = 4;
constexpr uint64_t kChurn = 20'000;  // keys that come and go

struct Shared {  // beside the table: what the worker that is to die is doing
  volatile sig_atomic_t
      linger;  // ordinal of the DeathPoint at which it waits for its end; -1: nowhere
  volatile sig_atomic_t waiting;  // it does
  std::atomic<uint64_t>
      now_ms;  // one clock for all: what is looked up often must be young for everybody
  std::byte table[256 * 1024];
};

Shared* g_shared = nullptr;

// Lock holders wait at the wanted point, until they are killed or another was.
void Linger(DeathPoint point) {
  while (static_cast<int>(point) == g_shared->linger) {
    g_shared->waiting = static_cast<sig_atomic_t>(::getpid());
    ::usleep(20);
  }
}

// One worker's life. It exits by itself if a lookup ever shows something impossible.
[[noreturn]] void Hammer(SessionTable table, int slot, uint64_t seed) {
  g_death_hook = Linger;
  table.AttachWorker(slot);
  std::mt19937_64 random(seed);
  for (;;) {
    const uint64_t now = ++g_shared->now_ms;
    const uint64_t kept = random() % kKept;
    const Found found = table.Lookup(table.KeyOf("kept-" + std::to_string(kept)), now);
    if (found.result != LookupResult::kHit || found.peer != kept % kPeers) ::_exit(2);

    const uint64_t n = random() % kChurn;
    const SessionKey key = table.KeyOf("churn-" + std::to_string(n));
    const Found churn = table.Lookup(key, now);
    if (churn.result == LookupResult::kHit && churn.peer / 2 != n % 2)
      ::_exit(3);  // never the other half's peer
    const uint64_t dice = random() % 16;
    if (dice < 10) {
      table.Learn(key, static_cast<uint16_t>(n % 2 * 2 + random() % 2), now);
    } else if (dice == 10) {
      table.Forget(key, now);
    } else if (dice == 11) {
      table.CollectStep(now);
    }
  }
}

class Storm : public testing::Test {
 protected:
  void SetUp() override {
    void* memory =
        ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    g_shared = new (memory) Shared;
    g_shared->linger = -1;
    g_shared->now_ms = 1'000'000;
    auto* aligned =
        reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(g_shared->table) + 63) / 64 * 64);
    table_ = SessionTable::Format(aligned, sizeof g_shared->table - 64, kTestKey);
    for (int i = 0; i < kPeers; ++i) table_.PeerIndex("peer-" + std::to_string(i));
    for (uint64_t i = 0; i < kKept; ++i) {
      const SessionKey key = table_.KeyOf("kept-" + std::to_string(i));
      table_.Learn(key, static_cast<uint16_t>(i % kPeers), Now());
      table_.Lookup(key, Now());  // who returns is not rotated by those who do not
    }
  }
  void TearDown() override {
    for (const pid_t pid : workers_) {
      if (pid > 0) ::kill(pid, SIGKILL);
    }
    for (const pid_t pid : workers_) {
      if (pid > 0) ::waitpid(pid, nullptr, 0);
    }
    ::munmap(g_shared, sizeof *g_shared);
  }

  static uint64_t Now() { return g_shared->now_ms; }

  void Start(int slot) {
    const uint64_t seed = random_();
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) Hammer(table_, slot, seed);
    workers_[slot] = pid;
  }

  // At a death point if some worker gets there soon, else wherever one happens to be.
  int PickVictim() {
    g_shared->waiting = 0;
    g_shared->linger = static_cast<int>(random_() % kPoints);
    for (int i = 0; i < 200 && g_shared->waiting == 0; ++i)
      ::usleep(20);  // an event of another process: polled
    for (int slot = 0; slot < kWorkers; ++slot) {
      if (workers_[slot] == g_shared->waiting) return slot;
    }
    return static_cast<int>(random_() % kWorkers);
  }

  void KillOne() {
    const int slot = PickVictim();
    inside_ += g_shared->waiting != 0 ? 1 : 0;
    ::kill(workers_[slot], SIGKILL);
    int status = 0;
    ::waitpid(workers_[slot], &status, 0);
    g_shared->linger = -1;
    workers_[slot] = 0;
    ASSERT_TRUE(WIFSIGNALED(status)) << "a worker saw the impossible: " << WEXITSTATUS(status);
  }

  void Restart() {
    for (int slot = 0; slot < kWorkers; ++slot) {
      if (workers_[slot] == 0) Start(slot);
    }
  }

  void CheckKept(int round) {
    for (uint64_t i = 0; i < kKept; ++i) {
      const Found found = table_.Peek(table_.KeyOf("kept-" + std::to_string(i)), Now());
      ASSERT_EQ(found.result, LookupResult::kHit) << "session " << i << " lost, round " << round;
      ASSERT_EQ(found.peer, i % kPeers);
    }
  }

  static constexpr int kPoints =
      static_cast<int>(DeathPoint::kRepairing);  // repairs are the checker's here
  SessionTable table_;
  pid_t workers_[kWorkers] = {};
  std::mt19937_64 random_{42};
  int inside_ = 0;
};

int Kills() {
  const char* text = std::getenv("LIMPET_STORM_KILLS");
  return text != nullptr ? std::atoi(text) : 150;
}

TEST_F(Storm, NobodyHangsAndNothingIsLost) {
  const int kills = Kills();
  for (int round = 0; round < kills && !HasFatalFailure(); ++round) {
    Restart();
    KillOne();
    CheckKept(round);
    if (round % 16 == 0) {  // all quiet: now derived and true must agree exactly
      for (pid_t& pid : workers_) {
        if (pid == 0) continue;
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        pid = 0;
      }
    }
    ASSERT_EQ(table_.Check(Now() + 400'000), "") << "round " << round;
  }
  EXPECT_GT(inside_, kills / 2);
  EXPECT_GT(table_.Sum().repaired, static_cast<uint64_t>(kills / 4));
  EXPECT_GT(table_.Sum().rotated, 0u);
  RecordProperty("kills", kills);
  RecordProperty("inside", inside_);
}

// A repairer that dies leaves the repair to the next one.
TEST_F(Storm, ARepairMayDieToo) {
  for (int round = 0; round < 20; ++round) {
    for (const DeathPoint point :
         {DeathPoint::kMoveCopied, DeathPoint::kMovingUp, DeathPoint::kRepairing}) {
      const pid_t pid = ::fork();
      if (pid == 0) {
        g_shared->linger = static_cast<int>(point);
        g_shared->waiting = 0;
        Hammer(table_, 1, static_cast<uint64_t>(round));
      }
      while (g_shared->waiting != pid) ::usleep(20);
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
      g_shared->linger = -1;
      CheckKept(round);
    }
    ASSERT_EQ(table_.Check(Now() + 400'000), "");
  }
  EXPECT_GT(table_.Sum().repaired, 0u);
}

}  // namespace
}  // namespace limpet::shm
