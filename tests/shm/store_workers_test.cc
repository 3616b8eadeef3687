#include "shm/store_workers.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>

namespace limpet::shm {
namespace {

class StoreWorkerGauges : public testing::Test {
 protected:
  void Set(int32_t pid, uint32_t waiting) {
    workers_->Of(pid).waiting = waiting;
    workers_->Of(pid).asking = 1;
  }

  std::unique_ptr<StoreWorkers> workers_ = std::make_unique<StoreWorkers>();
};

TEST_F(StoreWorkerGauges, AreEachWorkersOwn) {
  Set(11, 2);
  Set(12, 3);
  Set(11, 4);
  EXPECT_EQ(workers_->Waiting(), 7u);
  EXPECT_EQ(workers_->Asking(), 2u);
}

TEST_F(StoreWorkerGauges, GoWithTheWorkerAndSayWhatIsLost) {
  Set(11, 2);
  Set(12, 3);
  EXPECT_EQ(workers_->Forget(11), 2u);
  EXPECT_EQ(workers_->Forget(11), 0u);
  EXPECT_EQ(workers_->Waiting(), 3u);
  EXPECT_EQ(workers_->Asking(), 1u);
  EXPECT_EQ(workers_->Of(13).waiting, 0u);  // the line that was free
  EXPECT_EQ(workers_->Of(12).waiting, 3u);
}

TEST_F(StoreWorkerGauges, OfOneBinaryAreKeptWhenTheOtherHasGone) {
  for (int32_t pid = 1; pid <= 6; ++pid) Set(pid, 1);
  EXPECT_EQ(workers_->KeepOnly(std::array<int32_t, 4>{0, 2, 4, 99}), 4u);
  EXPECT_EQ(workers_->Waiting(), 2u);
  EXPECT_EQ(workers_->Asking(), 2u);
}

TEST_F(StoreWorkerGauges, OfNobodyAreForgottenByNobody) {
  Set(11, 2);
  EXPECT_EQ(workers_->Forget(0), 0u);
  EXPECT_EQ(workers_->Waiting(), 2u);
}

TEST_F(StoreWorkerGauges, OfMoreWorkersThanTwoBinariesHaveAreStillSomewhere) {
  for (int32_t pid = 1; pid <= 2 * kMaxWorkerSlots; ++pid) Set(pid, 1);
  workers_->Of(9999).asking = 1;
  EXPECT_EQ(workers_->Waiting(), 2u * kMaxWorkerSlots);
  EXPECT_EQ(workers_->Forget(9999), 0u);
  EXPECT_EQ(workers_->Forget(1), 1u);
  EXPECT_EQ(workers_->Of(10000).waiting, 0u);
}

}  // namespace
}  // namespace limpet::shm
