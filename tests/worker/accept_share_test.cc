#include "worker/accept_share.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace limpet::worker {
namespace {

class AcceptShareTest : public ::testing::Test {
 protected:
  void Worker(size_t slot, int64_t connections, uint64_t generation = 1,
              uint64_t beat_ms = 100'000) {
    counters_->slots[slot].active = connections;
    pulses_->slots[slot].accepts_for = generation;
    pulses_->slots[slot].beat_ms = beat_ms;
  }
  bool MayAccept() { return share_.MayAccept(100'000); }

  std::unique_ptr<shm::Counters> counters_ = std::make_unique<shm::Counters>();
  std::unique_ptr<shm::WorkerPulses> pulses_ = std::make_unique<shm::WorkerPulses>();
  AcceptShare share_{
      {.counters = counters_.get(), .pulses = pulses_.get(), .slot = 0, .generation = 1}};
};

TEST_F(AcceptShareTest, AFewMoreThanOthersAreNoUnevenness) {
  Worker(0, 4);
  Worker(1, 0);
  EXPECT_TRUE(MayAccept());
}

TEST_F(AcceptShareTest, WhoHasClearlyMoreStandsBackButNotForEver) {
  Worker(0, 10);
  Worker(1, 0);
  int stood_back = 0;
  while (!MayAccept()) ASSERT_LT(++stood_back, 100);
  EXPECT_GT(stood_back, 0);
  int taken = 1;
  while (MayAccept()) ASSERT_LT(++taken, 100) << "after a few it looks at the others again";
}

TEST_F(AcceptShareTest, WhatIsClearlyMoreGrowsWithTheNumbers) {
  Worker(0, 1000);
  Worker(1, 900);
  EXPECT_TRUE(MayAccept());
  Worker(1, 800);
  EXPECT_FALSE(MayAccept());
}

TEST_F(AcceptShareTest, WorkersThatDoNotAcceptDoNotCount) {
  Worker(0, 10);
  Worker(1, 0, 0);
  Worker(2, 0, 2);                  // of another generation
  Worker(3, 0, 1, 100'000 - 5000);  // its loop stands still
  EXPECT_TRUE(MayAccept());
}

TEST_F(AcceptShareTest, AnotherGenerationAcceptsUntilItsLastWorkerStopsOrFallsSilent) {
  Worker(0, 0);
  Worker(1, 0);
  EXPECT_FALSE(share_.AnotherGenerationAccepts(100'000)) << "its own";
  Worker(2, 0, 2);
  Worker(3, 0, 0);
  EXPECT_TRUE(share_.AnotherGenerationAccepts(100'000));
  EXPECT_FALSE(share_.AnotherGenerationAccepts(105'000)) << "its loop stands still";
  Worker(2, 0, 0);
  EXPECT_FALSE(share_.AnotherGenerationAccepts(100'000));
}

// Whoever happens to be woken first: in the end all have about the same.
TEST_F(AcceptShareTest, ABiasedOrderOfWakingStillSpreadsEvenly) {
  constexpr size_t kWorkers = 4;
  std::vector<AcceptShare> shares;
  for (size_t slot = 0; slot < kWorkers; ++slot) {
    Worker(slot, 0);
    shares.emplace_back(AcceptShare::Inputs{.counters = counters_.get(),
                                            .pulses = pulses_.get(),
                                            .slot = static_cast<int>(slot),
                                            .generation = 1});
  }
  for (int connection = 0; connection < 200; ++connection) {
    for (size_t slot = 0; slot < kWorkers; ++slot) {  // always in this order
      if (!shares[slot].MayAccept(100'000)) continue;
      ++counters_->slots[slot].active;
      ++counters_->slots[slot].accepted;
      break;
    }
  }
  for (size_t slot = 0; slot < kWorkers; ++slot) {
    EXPECT_GE(counters_->slots[slot].active, 40) << slot;
    EXPECT_LE(counters_->slots[slot].active, 60) << slot;
  }
}

}  // namespace
}  // namespace limpet::worker
