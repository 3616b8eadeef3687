#include "shm/peer_sweep.h"

#include <gtest/gtest.h>

#include "tests/shm/table_fixture.h"

namespace limpet::shm {
namespace {

uint64_t SweepAll(TestTable& t, PeerSweep& sweep) {
  const uint64_t before = t.table.Live();
  while (sweep.Step(&t.table, t.now)) {
  }
  return before - t.table.Live();
}

struct Swept : testing::Test {
  Swept() {
    for (uint64_t i = 0; i < 10'000; ++i) t.Learn(i, i % 2 == 0 ? a : b);
    Fill(1);
  }
  // Of the quarter of the entries that is to be free so many are taken.
  void Fill(uint32_t missing) {
    const uint32_t size = t.table.peers().size();
    for (uint32_t i = 2; i < size - size / 4 + missing; ++i)
      t.table.PeerIndex("server-" + std::to_string(i));
  }
  TestTable t{1 << 20};
  uint16_t a = t.table.PeerIndex("a");
  uint16_t b = t.table.PeerIndex("b");
  PeerSweep sweep;
};

TEST_F(Swept, ARetiredPeersSessionsGoAfterAWholePeriod) {
  t.table.RetirePeer(a);
  sweep.Begin(t.table);
  EXPECT_EQ(SweepAll(t, sweep), 0u);  // it may come back
  sweep.Begin(t.table);
  EXPECT_EQ(SweepAll(t, sweep), 5'000u);
  EXPECT_EQ(t.table.PeerLive(a), 0u);
  EXPECT_EQ(t.table.PeerLive(b), 5'000u);
  EXPECT_EQ(t.table.Check(t.now), "");
}

TEST_F(Swept, WhileThereAreEntriesNothingGoes) {
  t.table.RetirePeer(a);
  t.table.RetirePeer(
      t.table.PeerIndex("server-2"));  // it has no sessions: its entry is as good as free
  for (int period = 0; period < 3; ++period) {
    sweep.Begin(t.table);
    EXPECT_EQ(SweepAll(t, sweep), 0u);
  }
  EXPECT_EQ(t.table.PeerLive(a), 5'000u);
}

TEST_F(Swept, WhoHasBeenGoneLongestMakesRoom) {
  t.table.RetirePeer(b);
  t.table.RetirePeer(a);
  for (int period = 0; period < 4; ++period) {
    sweep.Begin(t.table);
    SweepAll(t, sweep);
  }
  EXPECT_EQ(t.table.PeerLive(a), 5'000u);
  EXPECT_EQ(t.table.PeerLive(b), 0u);
}

TEST_F(Swept, AStepLooksAtFewSlots) {
  t.table.RetirePeer(a);
  sweep.Begin(t.table);
  sweep.Begin(t.table);
  for (bool more = true; more;) {
    const uint64_t before = t.table.Live();
    more = sweep.Step(&t.table, t.now);
    EXPECT_LE(before - t.table.Live(), 64u);
  }
  EXPECT_EQ(t.table.PeerLive(a), 0u);
}

TEST_F(Swept, APeerThatComesBackKeepsWhatIsLeft) {
  t.table.RetirePeer(a);
  sweep.Begin(t.table);
  sweep.Begin(t.table);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(sweep.Step(&t.table, t.now));
  EXPECT_EQ(t.table.PeerIndex("a"), a);
  const uint64_t left = t.table.PeerLive(a);
  EXPECT_GT(left, 4'000u);
  SweepAll(t, sweep);
  EXPECT_EQ(t.table.PeerLive(a), left);
}

// A directory of 32 entries outlives hundreds of servers that came and went with their sessions.
TEST(PeerSweep, GivesDirectoryEntriesBack) {
  TestTable t(SessionTable::kMinBytes);
  PeerSweep sweep;
  for (uint64_t n = 0; n < 200; ++n) {
    const uint16_t peer = t.table.PeerIndex("server-" + std::to_string(n));
    ASSERT_NE(peer, kNoPeer) << n;
    t.Learn(n, peer);
    t.table.RetirePeer(peer);
    sweep.Begin(t.table);
    SweepAll(t, sweep);
  }
}

}  // namespace
}  // namespace limpet::shm
