#include "worker/http/exchange/zone_counts.h"

#include <gtest/gtest.h>

#include "shm/zone.h"

namespace limpet::worker {
namespace {

using Count = shm::RequestCount;

class ZoneCountsTest : public testing::Test {
 protected:
  static constexpr uint32_t kValues = 2;

  static conf::Http MakeConf() {
    conf::Http made;
    made.status_zones.push_back({.name = "names", .values = kValues});
    return made;
  }

  conf::Http http_ = MakeConf();
  shm::Zone memory_ = std::move(*shm::Zone::Anonymous(shm::StatusZone::BytesFor(kValues)));
  shm::StatusZone zone_{memory_.data(), kValues};
  ZoneCounts one_{http_, {&zone_}, 0}, other_{http_, {&zone_}, 1};
};

TEST_F(ZoneCountsTest, WorkersCountAValueTogether) {
  one_.Of(0, "a").Add(Count::kRequests);
  other_.Of(0, "a").Add(Count::kRequests);
  one_.Of(0, "a").Add(Count::kRequests);
  EXPECT_EQ(zone_.taken(), 1u);
  EXPECT_EQ(zone_.SumValues().at("a").counts[Count::kRequests], 3u);
}

TEST_F(ZoneCountsTest, ValuesBeyondThoseThatFitAreOfTheZoneItself) {
  for (const char* value : {"a", "b", "c", "d"}) one_.Of(0, value).Add(Count::kRequests);
  EXPECT_EQ(&one_.Of(0, "c"), &one_.Own(0));
  EXPECT_EQ(&other_.Of(0, "c"), &other_.Own(0));
  EXPECT_NE(&other_.Of(0, "b"), &other_.Own(0));
  EXPECT_EQ(zone_.Sum().counts[Count::kRequests], 2u);
}

TEST_F(ZoneCountsTest, WithoutMemoryNothingIsSeen) {
  ZoneCounts none;
  none.Own(0).Add(Count::kRequests);
  none.Of(0, "a").Add(Count::kRequests);
  none.Own(-1).Add(Count::kRequests);
  EXPECT_FALSE(none.any_requests());
  EXPECT_TRUE(one_.any_requests());
}

}  // namespace
}  // namespace limpet::worker
