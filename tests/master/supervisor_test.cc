#include "master/supervisor.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <set>

#include "base/clock.h"

namespace limpet::master {
namespace {

// Children that wait for a signal. Reap() is called until they are gone: SIGCHLD is not read here.
class SupervisorTest : public ::testing::Test {
 protected:
  ~SupervisorTest() override {
    supervisor_.Stop(SIGKILL);
    ReapUntil([this] { return supervisor_.idle(); });
  }

  template <class Condition>
  void ReapUntil(Condition reached) {
    const uint64_t end = MonotonicMs() + 10'000;
    while (!reached() && MonotonicMs() < end) {
      supervisor_.Reap();
      ::poll(nullptr, 0, 1);
    }
    EXPECT_TRUE(reached());
  }

  Log log_;
  std::vector<int> died_;
  bool had_begun_ = false;
  std::set<int> slots_begun_;  // or these
  bool slot_is_locked_ = false;
  Supervisor supervisor_{
      {.run =
           [](int, int) {
             ::pause();
             return 0;
           },
       .had_begun = [this](int slot) { return had_begun_ || slots_begun_.contains(slot); },
       .died =
           [this](int slot) {
             died_.push_back(slot);
             return !slot_is_locked_;
           },
       .log = [this]() -> const Log& { return log_; }}};
};

TEST_F(SupervisorTest, GivesEachLivingWorkerASlotOfItsOwn) {
  supervisor_.StartGeneration(1, 2);
  supervisor_.StartGeneration(2, 2);
  std::vector<int> slots;
  for (const auto& worker : supervisor_.workers()) slots.push_back(worker.slot);
  EXPECT_EQ(slots, (std::vector<int>{0, 1, 2, 3}));
}

TEST_F(SupervisorTest, ReplacesWhoDiesAndFreesItsSlot) {
  supervisor_.StartGeneration(1, 2);
  const pid_t victim = supervisor_.workers()[0].pid;
  ::kill(victim, SIGKILL);
  ReapUntil([this] { return !died_.empty(); });
  EXPECT_EQ(died_, std::vector<int>{0});
  ASSERT_TRUE(supervisor_.NextDeadline());
  supervisor_.Tick(*supervisor_.NextDeadline());
  ASSERT_EQ(supervisor_.workers().size(), 2u);
  EXPECT_EQ(supervisor_.workers()[1].number, 0);
  EXPECT_EQ(supervisor_.workers()[1].slot, 0);
}

TEST_F(SupervisorTest, KeepsASlotThatCannotBeFreedYet) {
  supervisor_.StartGeneration(1, 1);
  slot_is_locked_ = true;
  ::kill(supervisor_.workers()[0].pid, SIGKILL);
  ReapUntil([this] { return !died_.empty(); });
  supervisor_.Tick(MonotonicMs());
  ASSERT_EQ(supervisor_.workers().size(), 1u);
  EXPECT_EQ(supervisor_.workers()[0].slot, 1);
  slot_is_locked_ = false;
  supervisor_.Tick(MonotonicMs());
  supervisor_.StartGeneration(2, 1);
  EXPECT_EQ(supervisor_.workers()[1].slot, 0);
}

TEST_F(SupervisorTest, DoesNotReplaceWhoWasToldToEnd) {
  supervisor_.StartGeneration(1, 1);
  supervisor_.StartGeneration(2, 1);
  const pid_t old = supervisor_.workers()[0].pid;
  had_begun_ = true;
  EXPECT_TRUE(supervisor_.QuitReplaced(MonotonicMs()));
  ::kill(old, SIGKILL);  // the children here do not heed SIGQUIT when it is blocked
  ReapUntil([this] { return supervisor_.workers().size() == 1; });
  EXPECT_EQ(supervisor_.workers()[0].generation, 2u);
  EXPECT_FALSE(supervisor_.NextDeadline());
}

TEST_F(SupervisorTest, KeepsWhoIsNotReplacedYet) {
  supervisor_.StartGeneration(1, 3);
  supervisor_.StartGeneration(2, 2);
  const uint64_t later = MonotonicMs() + 2000;
  EXPECT_FALSE(supervisor_.QuitReplaced(later));
  for (const auto& worker : supervisor_.workers()) EXPECT_FALSE(worker.ending);
  slots_begun_ = {4};  // number 1 of the new generation
  EXPECT_FALSE(supervisor_.QuitReplaced(MonotonicMs()));
  EXPECT_FALSE(supervisor_.workers()[1].ending);  // it is not alone with its sockets yet
  EXPECT_FALSE(supervisor_.QuitReplaced(later));
  std::vector<int> ending;
  for (const auto& worker : supervisor_.workers()) {
    if (worker.ending) ending.push_back(worker.slot);
  }
  EXPECT_EQ(ending, (std::vector<int>{1, 2}));  // the third has no number any more
}

TEST_F(SupervisorTest, StartsNoWorkerWithoutASlotOfItsOwn) {
  constexpr int kSlots = static_cast<int>(shm::kMaxWorkerSlots);
  supervisor_.StartGeneration(1, kSlots);
  supervisor_.StartGeneration(2, 1);
  EXPECT_EQ(supervisor_.workers().size(), shm::kMaxWorkerSlots);
  ASSERT_TRUE(supervisor_.NextDeadline());
  ::kill(supervisor_.workers()[5].pid, SIGKILL);
  ReapUntil([this] { return !died_.empty(); });
  supervisor_.Tick(*supervisor_.NextDeadline());
  EXPECT_EQ(supervisor_.workers().size(), shm::kMaxWorkerSlots);
  EXPECT_EQ(supervisor_.workers().back().generation, 2u);
  EXPECT_EQ(supervisor_.workers().back().slot, 5);
}

// In a process of its own, which may have no children.
int TriesSoonWithoutProcesses() {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_NPROC, &none);
  if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) return 1;
  const Log log;
  Supervisor supervisor({.run = [](int, int) { return 0; },
                         .had_begun = [](int) { return false; },
                         .died = [](int) { return true; },
                         .log = [&log]() -> const Log& { return log; }});
  supervisor.StartGeneration(1, 1);
  if (!supervisor.workers().empty()) return 2;
  for (int i = 0; i < 20; ++i) {
    if (!supervisor.NextDeadline()) return 3;
    const uint64_t due = *supervisor.NextDeadline();
    supervisor.Tick(due);
    if (supervisor.NextDeadline().value_or(UINT64_MAX) > due + 1000) return 4;
  }
  return 0;
}

TEST_F(SupervisorTest, TriesAgainSoonWhenThereIsNoProcessToBeHad) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(TriesSoonWithoutProcesses());
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(SupervisorTest, ReplacesAtOnceWhoHadBegunToServe) {
  had_begun_ = true;
  supervisor_.StartGeneration(1, 1);
  for (size_t deaths = 1; deaths <= 5; ++deaths) {
    ::kill(supervisor_.workers()[0].pid, SIGKILL);
    ReapUntil([&] { return died_.size() == deaths; });
    supervisor_.Tick(MonotonicMs());
    ASSERT_EQ(supervisor_.workers().size(), 1u) << deaths;
  }
}

TEST_F(SupervisorTest, WaitsForWhoNeverBegan) {
  supervisor_.StartGeneration(1, 1);
  for (size_t deaths = 1; deaths <= 2; ++deaths) {
    ::kill(supervisor_.workers()[0].pid, SIGKILL);
    ReapUntil([&] { return died_.size() == deaths; });
    ASSERT_TRUE(supervisor_.NextDeadline());
    const uint64_t due = *supervisor_.NextDeadline();
    if (deaths == 2) supervisor_.Tick(due - 1);
    EXPECT_EQ(supervisor_.workers().size(), 0u);
    supervisor_.Tick(due);
    ASSERT_EQ(supervisor_.workers().size(), 1u);
  }
}

TEST(RespawnDelay, GrowsWhileWorkersNeverBeginAndForgives) {
  RespawnDelay delay;
  EXPECT_EQ(delay.AfterDeath(false), 0u);
  EXPECT_EQ(delay.AfterDeath(false), 100u);
  EXPECT_EQ(delay.AfterDeath(false), 200u);
  for (int i = 0; i < 50; ++i) EXPECT_LE(delay.AfterDeath(false), 5000u);
  EXPECT_EQ(delay.AfterDeath(false), 5000u);
  EXPECT_EQ(delay.AfterDeath(true), 0u);
  EXPECT_EQ(delay.AfterDeath(false), 0u);
}

TEST(RespawnDelay, IsNoneForWhoHadBegun) {
  RespawnDelay delay;
  for (int i = 0; i < 50; ++i) EXPECT_EQ(delay.AfterDeath(true), 0u);
}

}  // namespace
}  // namespace limpet::master
