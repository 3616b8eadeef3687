#include "shm/session_quota.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <vector>

#include "tests/shm/flood.h"
#include "tests/shm/table_fixture.h"

namespace limpet::shm {
namespace {

using Verdict = SessionQuota::Verdict;

struct FreeMapping {
  size_t bytes;
  void operator()(std::byte* memory) const { ::munmap(memory, bytes); }
};

// A zone, and the quota's memory, which processes share.
class QuotaTest : public testing::Test {
 protected:
  Verdict Begin(const std::string& client, uint64_t n, const SessionQuota::Limits& limits) {
    const Verdict verdict =
        quota_.Admit(quota_.ClientOf(client), t_.Key(n), limits, t_.table, t_.now);
    if (verdict == Verdict::kAdmitted) t_.Learn(n, peer_);
    return verdict;
  }
  uint64_t Admitted(const std::string& client, uint64_t from, uint64_t count,
                    const SessionQuota::Limits& limits) {
    uint64_t admitted = 0;
    for (uint64_t n = from; n < from + count; ++n)
      admitted += Begin(client, n, limits) == Verdict::kAdmitted ? 1 : 0;
    return admitted;
  }
  uint32_t Counted(const std::string& client) {
    return quota_.Peek(quota_.ClientOf(client), {}, t_.now).sessions;
  }
  static std::byte* Map(size_t bytes) {
    return static_cast<std::byte*>(
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  }

  TestTable t_{64 << 10};
  uint16_t peer_ = t_.table.PeerIndex("a");
  size_t bytes_ = SessionQuota::BytesFor(t_.table.Capacity());
  std::unique_ptr<std::byte, FreeMapping> memory_{Map(bytes_), FreeMapping{bytes_}};
  SessionQuota quota_{memory_.get(), bytes_};
};

TEST_F(QuotaTest, BoundsTheSessionsOfEachClient) {
  const SessionQuota::Limits limits{.sessions = 10};
  EXPECT_EQ(Admitted("a", 0, 100, limits), 10u);
  EXPECT_EQ(Begin("a", 100, limits), Verdict::kOverQuota);
  EXPECT_EQ(Admitted("b", 200, 9, limits), 9u);
  EXPECT_EQ(Counted("a"), 10u);
  EXPECT_EQ(Counted("b"), 9u);
  EXPECT_EQ(Counted("c"), 0u);
}

// The zone is asked which have ended, however they did.
TEST_F(QuotaTest, GivesAPlaceBackWhenASessionEnds) {
  const SessionQuota::Limits limits{.sessions = 10};
  ASSERT_EQ(Admitted("a", 0, 11, limits), 10u);
  t_.table.Forget(t_.Key(7), t_.now);
  EXPECT_EQ(Admitted("a", 20, 2, limits), 1u);
  t_.now += 599'000;
  for (uint64_t n = 0; n < 5; ++n) t_.Lookup(n);
  EXPECT_EQ(Begin("a", 30, limits), Verdict::kOverQuota);
  t_.now += 2'000;  // the others are over
  EXPECT_EQ(Admitted("a", 40, 20, limits), 5u);
}

TEST_F(QuotaTest, FindsEndedSessionsAmongManyAfterSomeTries) {
  const SessionQuota::Limits limits{.sessions = 1000};
  ASSERT_EQ(Admitted("a", 0, 1001, limits), 1000u);
  t_.table.Forget(t_.Key(999), t_.now);
  int tries = 1;
  while (Begin("a", 2000, limits) != Verdict::kAdmitted && tries < 100) ++tries;
  EXPECT_LE(tries, 1000 / 16 + 1);
}

TEST_F(QuotaTest, BoundsHowFastTheyBegin) {
  const SessionQuota::Limits limits{.rate = 10'000, .burst = 5'000};
  EXPECT_EQ(Admitted("a", 0, 20, limits), 6u);
  EXPECT_EQ(Begin("a", 20, limits), Verdict::kOverRate);
  EXPECT_EQ(Admitted("b", 100, 1, limits), 1u);
  t_.now += 1000;
  EXPECT_EQ(Admitted("a", 30, 20, limits), 6u);
  t_.now += 100;
  EXPECT_EQ(Admitted("a", 60, 20, limits), 1u);
  EXPECT_EQ(Counted("a"), 0u);
}

TEST_F(QuotaTest, WhatIsOverTheQuotaDoesNotUseUpTheRate) {
  const SessionQuota::Limits limits{.sessions = 2, .rate = 1'000, .burst = 4'000};
  EXPECT_EQ(Admitted("a", 0, 2, limits), 2u);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Begin("a", 50, limits), Verdict::kOverQuota);
  t_.table.Forget(t_.Key(0), t_.now);
  EXPECT_EQ(Begin("a", 51, limits), Verdict::kAdmitted);
}

// More clients, and more sessions, than there is room for: the one longest quiet is forgotten.
TEST_F(QuotaTest, HasRoomForTheClientsOfLate) {
  const SessionQuota::Limits limits{.sessions = 3};
  for (uint64_t i = 0; i < 5000; ++i) {
    ASSERT_EQ(Begin(std::to_string(i), i, limits), Verdict::kAdmitted);
    if (i % 100 == 0) {
      for (uint64_t n = 0; n < 4; ++n) Begin("busy", 10'000 + i + n, limits);
    }
  }
  EXPECT_EQ(Counted("0"), 0u);
  EXPECT_EQ(Counted("4999"), 1u);
  EXPECT_EQ(Counted("busy"), 3u);
}

TEST_F(QuotaTest, OneClientMayFillItAll) {
  EXPECT_EQ(Admitted("a", 0, 20'000, {.sessions = 1'000'000}), 20'000u);
  EXPECT_GE(Counted("a") + 64, t_.table.Live());
}

TEST_F(QuotaTest, OutlivesItsUsersAndAnotherKeyBeginsAnew) {
  quota_.UseKey("$binary_remote_addr");
  ASSERT_EQ(Admitted("a", 0, 5, {.sessions = 5}), 5u);
  SessionQuota again(memory_.get(), bytes_);
  again.UseKey("$binary_remote_addr");
  EXPECT_EQ(Counted("a"), 5u);
  again.UseKey("$arg_key");
  EXPECT_EQ(Counted("a"), 0u);
}

// Wherever a process dies: at worst the counts begin anew, and the next goes on.
TEST_F(QuotaTest, SurvivesDeaths) {
  const SessionQuota::Limits limits{.sessions = 50, .rate = 1'000'000'000, .burst = 1'000'000};
  for (int round = 0; round < 40; ++round) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      for (uint64_t n = 0;; ++n) {
        (void)quota_.Admit(quota_.ClientOf(std::to_string(n % 700)), t_.Key(n), limits, t_.table,
                           t_.now);
      }
    }
    ::usleep(3000);  // somewhere in the middle
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    const std::string client = "client " + std::to_string(round);
    ASSERT_EQ(Admitted(client, 100'000 + static_cast<uint64_t>(round) * 100, 60, limits), 50u);
  }
}

// The flood of session_flood_test, by one address and by 10,000, where clients stay for a moment
// only: what rotation cannot tell from honest ones, a quota can.
TEST(QuotaOfFloods, BoundsWhatOneNetworkHolds) {
  FloodGame game({.zone_bytes = 256 << 10, .times = 20, .used_again_ms = {20}});
  const size_t bytes = SessionQuota::BytesFor(game.t().table.Capacity());
  std::vector<uint64_t> memory(bytes / 8 + 8);
  auto* at =
      reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(memory.data()) + 63) / 64 * 64);
  SessionQuota quota(at, bytes);
  const FloodFigures figures = game.Run([&](uint64_t n, uint64_t now) {
    return quota.Admit(quota.ClientOf("one"), game.t().Key(5000 + n), {.sessions = 1000},
                       game.t().table, now) == Verdict::kAdmitted;
  });
  EXPECT_EQ(figures.learned, 1000u);
  EXPECT_EQ(figures.lost, 0u);
  EXPECT_EQ(figures.lost_exact, 0u);
  EXPECT_EQ(game.t().table.Sum().rotated, 0u);
}

}  // namespace
}  // namespace limpet::shm
