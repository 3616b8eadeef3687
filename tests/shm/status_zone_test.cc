#include "shm/status_zone.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>

namespace limpet::shm {
namespace {

using Count = RequestCount;

class StatusZoneTest : public testing::Test {
 protected:
  static constexpr uint32_t kValues = 3;

  StatusZoneTest() {
    std::memset(memory_.get(), 0, kBytes);
    zone_.Use(0);
  }

  // As the master maps it.
  const size_t kBytes = StatusZone::BytesFor(kValues);
  struct Free {
    void operator()(std::byte* freed) const { std::free(freed); }
  };
  std::unique_ptr<std::byte, Free> memory_{
      static_cast<std::byte*>(std::aligned_alloc(64, (kBytes + 63) / 64 * 64))};
  StatusZone zone_{memory_.get(), kValues};
};

TEST_F(StatusZoneTest, AddsUpWhatWorkersCount) {
  zone_.Use(5);
  for (const int slot : {0, 5, 5}) {
    ZoneLine& line = zone_.Line(slot, StatusZone::kOwn);
    line.Add(Count::kRequests);
    line.Add(Count::kSent, 100);
    line.codes.Add(slot == 0 ? 200 : 503);
  }
  const ZoneSums sums = zone_.Sum();
  EXPECT_EQ(sums.counts[Count::kRequests], 3u);
  EXPECT_EQ(sums.counts[Count::kSent], 300u);
  EXPECT_EQ(sums.codes, (std::map<int, uint64_t>{{200, 1}, {503, 2}}));
}

TEST_F(StatusZoneTest, ASlotThatNobodyHasUsedIsNotLookedAt) {
  zone_.Line(7, StatusZone::kOwn).Add(Count::kRequests);
  EXPECT_EQ(zone_.Sum().counts[Count::kRequests], 0u);
}

TEST_F(StatusZoneTest, ValuesHavePlacesUntilNoneIsLeft) {
  const uint32_t a = zone_.Take("a.test"), b = zone_.Take("b.test");
  EXPECT_EQ(zone_.NameOf(a), "a.test");
  zone_.Line(0, a).Add(Count::kRequests, 2);
  zone_.Line(0, b).Add(Count::kRequests, 3);
  const auto sums = zone_.SumValues();
  ASSERT_EQ(sums.size(), 2u);
  EXPECT_EQ(sums.at("a.test").counts[Count::kRequests], 2u);
  EXPECT_EQ(sums.at("b.test").counts[Count::kRequests], 3u);
  EXPECT_EQ(zone_.Sum().counts[Count::kRequests], 0u);
  EXPECT_NE(zone_.Take(std::string(StatusZone::kMaxName, 'x')), StatusZone::kOwn);
  EXPECT_EQ(zone_.Take("d.test"), StatusZone::kOwn);
  EXPECT_EQ(zone_.taken(), kValues);
}

TEST_F(StatusZoneTest, AValueThatTwoWorkersHaveNamedIsOne) {
  for (int i = 0; i < 2; ++i) zone_.Line(0, zone_.Take("a.test")).Add(Count::kRequests);
  EXPECT_EQ(zone_.SumValues().at("a.test").counts[Count::kRequests], 2u);
}

TEST_F(StatusZoneTest, OfAWorkerThatHasDiedNothingIsUnderWay) {
  zone_.Use(1);
  const uint32_t place = zone_.Take("a.test");
  for (const int slot : {0, 1}) {
    zone_.Line(slot, place).Add(Count::kProcessing, 2);
    zone_.Line(slot, place).Add(Count::kRequests, 2);
  }
  zone_.Line(0, place).Leave();
  zone_.ForgetWorker(1);
  const ZoneSums sums = zone_.SumValues().at("a.test");
  EXPECT_EQ(sums.counts[Count::kProcessing], 1u);
  EXPECT_EQ(sums.counts[Count::kRequests], 4u);
}

}  // namespace
}  // namespace limpet::shm
