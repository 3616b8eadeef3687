#include "worker/status/session_sweep.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "tests/shm/table_fixture.h"

namespace limpet::worker {
namespace {

using namespace std::chrono_literals;

struct Fixture {
  shm::TestTable t{4 << 20};
  uint16_t a = t.table.PeerIndex("a"), b = t.table.PeerIndex("b");
  uint64_t learned = 0;

  Fixture() { t.now = BootMs(); }
  void Learn(uint16_t peer, int n) {
    for (int i = 0; i < n; ++i) t.Learn(++learned, peer);
  }
  static int Run(SessionSweep& sweep) {
    int steps = 1;
    while (sweep.Step(20us)) ++steps;
    return steps;
  }
};

TEST(SessionSweep, ForgetsAllSessionsOfAServer) {
  Fixture f;
  f.Learn(f.a, 5000);
  f.Learn(f.b, 3000);
  SessionSweep sweep(f.t.table, f.a, shm::kNoPeer);
  EXPECT_GT(Fixture::Run(sweep), 1);  // in more than one step
  EXPECT_EQ(sweep.changed(), 5000u);
  EXPECT_EQ(f.t.table.PeerLive(f.a), 0u);
  EXPECT_EQ(f.t.table.PeerLive(f.b), 3000u);
  EXPECT_EQ(f.t.table.Check(f.t.now), "");
}

TEST(SessionSweep, MovesAllSessionsOfAServer) {
  Fixture f;
  f.Learn(f.a, 5000);
  f.Learn(f.b, 3000);
  SessionSweep sweep(f.t.table, f.a, f.b);
  Fixture::Run(sweep);
  EXPECT_EQ(sweep.changed(), 5000u);
  EXPECT_EQ(f.t.table.PeerLive(f.b), 8000u);
  EXPECT_EQ(f.t.table.Check(f.t.now), "");
}

TEST(SessionSweep, HasNothingToDoInAnEmptyZone) {
  Fixture f;
  SessionSweep sweep(f.t.table, f.a, shm::kNoPeer);
  EXPECT_FALSE(sweep.Step(1ms));
  EXPECT_EQ(sweep.changed(), 0u);
}

// A server that goes on taking clients gets as many sessions as a step forgets.
TEST(SessionSweep, EndsWhileTheServerGoesOnLearning) {
  Fixture f;
  f.Learn(f.a, 20000);
  SessionSweep sweep(f.t.table, f.a, shm::kNoPeer);
  int steps = 0;
  while (sweep.Step(0us)) {
    f.Learn(f.a, 600);
    ASSERT_LT(++steps, 10000);
  }
  EXPECT_GE(sweep.changed(), 20000u);
}

}  // namespace
}  // namespace limpet::worker
