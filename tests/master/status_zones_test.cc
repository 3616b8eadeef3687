#include "master/status_zones.h"

#include <gtest/gtest.h>

namespace limpet::master {
namespace {

conf::StatusZone Wanted(uint32_t values) {
  return {.kind = conf::StatusZoneKind::kServer, .name = "main", .values = values};
}

TEST(StatusZones, AReloadThatFailsTakesNothingFromThoseThatServe) {
  StatusZones zones;
  const auto serving = *zones.Find(Wanted(5));
  {
    const auto other = *zones.Find(Wanted(6));
    EXPECT_NE(other, serving);
  }
  serving->Use(1);
  shm::ZoneLine& line = serving->Line(1, shm::StatusZone::kOwn);
  line.Add(shm::RequestCount::kProcessing);
  zones.ForgetWorker(1);  // it has died
  EXPECT_EQ(line.counts[shm::RequestCount::kProcessing], 0u);
  EXPECT_EQ(*zones.Find(Wanted(5)), serving);
}

TEST(StatusZones, NobodysMemoryGoes) {
  StatusZones zones;
  const std::weak_ptr<shm::StatusZone> first = *zones.Find(Wanted(0));
  EXPECT_TRUE(first.expired());
}

}  // namespace
}  // namespace limpet::master
