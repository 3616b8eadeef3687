#include "master/traffic_places.h"

#include <gtest/gtest.h>

#include "shm/zone.h"

namespace limpet::master {
namespace {

class Places : public testing::Test {
 protected:
  shm::Traffic& traffic() { return *reinterpret_cast<shm::Traffic*>(zone_.data()); }
  static conf::Upstream Named(std::string name) {
    conf::Upstream upstream;
    upstream.name = std::move(name);
    return upstream;
  }
  static conf::Upstream Address(uint16_t port) {
    conf::Upstream upstream = Named("10.0.0.1");
    upstream.implicit = true;
    upstream.servers.emplace_back().port = port;
    return upstream;
  }

  shm::Zone zone_ = *shm::Zone::Anonymous(sizeof(shm::Traffic));
  TrafficPlaces places_{traffic()};
};

TEST_F(Places, AreKeptOverReloads) {
  const TrafficPlace first = places_.Find(Named("app"));
  EXPECT_NE(first->index, shm::Traffic::kOthers);
  EXPECT_EQ(places_.Find(Named("app"))->index, first->index);
  EXPECT_NE(places_.Find(Named("other"))->index, first->index);
}

TEST_F(Places, OfTwoPortsAreTwo) {
  EXPECT_NE(places_.Find(Address(80))->index, places_.Find(Address(81))->index);
}

TEST_F(Places, OfWhatIsGoneAreClearedAndGivenAgain) {
  std::vector<TrafficPlace> held;
  for (uint32_t i = 1; i < shm::Traffic::kPlaces; ++i)
    held.push_back(places_.Find(Named(std::to_string(i))));
  EXPECT_EQ(places_.Find(Named("late"))->index, shm::Traffic::kOthers) << "none is left";
  traffic().Use(0);
  const uint32_t free = held[6]->index;
  traffic().Line(0, free).Add(1, 200, 1);
  held.erase(held.begin() + 6);
  EXPECT_EQ(places_.Find(Named("late"))->index, free);
  EXPECT_EQ(traffic().Sum(free).requests(), 0u);
}

TEST_F(Places, GiveTheLastHourInSteps) {
  const TrafficPlace place = places_.Find(Named("app"));
  traffic().Use(0);
  places_.Tick(1, 100);
  traffic().Line(0, place->index).Add(1, 502, 1);
  places_.Tick(2, 500);  // too early
  places_.Tick(1 + shm::TrafficHistory::kEveryMs, 107);
  const auto samples = traffic().history.OldestFirst();
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(samples[0].requests, 7u);
  EXPECT_EQ(samples[0].faults, 1u);
}

TEST_F(Places, OfTheNextBinaryGoOnCounting) {
  traffic().Use(0);
  const TrafficPlace app = places_.Find(Named("app"));
  const TrafficPlace gone = places_.Find(Address(80));
  traffic().Line(0, app->index).Add(1, 200, 7);
  traffic().Line(0, app->index).SetWaiting(3);
  traffic().Line(0, gone->index).Add(0, 502, -1);
  traffic().Line(0, shm::Traffic::kOthers).Add(2, 404, 1);

  const shm::Zone zone = *shm::Zone::Anonymous(sizeof(shm::Traffic));
  shm::Traffic& later = *reinterpret_cast<shm::Traffic*>(zone.data());
  TrafficPlaces next(later);
  next.GoOnFrom(places_.Counted());
  later.Use(0);
  const TrafficPlace first = next.Find(Named("first"));
  const TrafficPlace again = next.Find(Named("app"));
  later.Line(0, again->index).Add(1, 200, 7);
  const shm::TrafficSums sums = later.Sum(again->index);
  EXPECT_EQ(sums.requests(), 2u);
  EXPECT_EQ(sums.time_ms, 14u);
  EXPECT_EQ(sums.waiting, 0u) << "in that binary";
  EXPECT_EQ(later.Sum(first->index).requests(), 0u);
  EXPECT_EQ(later.Sum(next.Find(Address(80))->index).by_class[5], 1u);
  EXPECT_EQ(later.Sum(shm::Traffic::kOthers).by_class[4], 1u);
}

TEST_F(Places, NothingWaitsInAWorkerThatHasDied) {
  const TrafficPlace place = places_.Find(Named("app"));
  traffic().Use(3);
  traffic().Line(3, place->index).SetWaiting(5);
  EXPECT_EQ(traffic().Sum(place->index).waiting, 5u);
  places_.ForgetWorker(3);
  EXPECT_EQ(traffic().Sum(place->index).waiting, 0u);
}

}  // namespace
}  // namespace limpet::master
