#include "worker/net/places.h"

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <vector>

namespace limpet::worker {
namespace {

struct Lines final : LogTarget {
  void Write(LogLevel, std::string_view message) override { lines.emplace_back(message); }
  Status Reopen() override { return {}; }
  std::vector<std::string> lines;
};

struct Held {
  explicit Held(Places& places) : place(places) {}
  void GiveWay() {
    ++asked;
    if (!busy) place.Release();
  }
  void Idle() { place.SetIdle(Callback::To<&Held::GiveWay>(this)); }

  Place place;
  bool busy = false;
  int asked = 0;
};

class PlacesTest : public testing::Test {
 protected:
  PlacesTest() {
    log_.Add(&lines_, LogLevel::kWarn);
    places_.Limit(3, log_);
  }
  Held& Take() { return held_.emplace_back(places_); }

  Lines lines_;
  Log log_;
  Places places_;
  std::deque<Held> held_;
};

TEST_F(PlacesTest, TheOneIdleLongestGivesWay) {
  Held& a = Take();
  Held& b = Take();
  Held& c = Take();
  for (Held* one : {&a, &b, &c}) one->Idle();
  a.place.SetBusy();
  a.Idle();  // from now on only
  EXPECT_TRUE(places_.MakeRoom());
  EXPECT_EQ(b.asked, 1);
  EXPECT_EQ(a.asked + c.asked, 0);
  Take();
  Take();
  EXPECT_EQ(c.asked, 1);
  EXPECT_EQ(places_.taken(), 3u);
}

TEST_F(PlacesTest, WhoeverHasSomethingToDoIsPassedOver) {
  Held& a = Take();
  Held& b = Take();
  Take();
  a.Idle();
  b.Idle();
  a.busy = true;
  EXPECT_TRUE(places_.MakeRoom());
  EXPECT_EQ(a.asked, 1);
  EXPECT_EQ(b.asked, 1);
  EXPECT_EQ(places_.taken(), 2u);
}

TEST_F(PlacesTest, WithoutAnIdleOneThereIsNoRoom) {
  for (int i = 0; i < 3; ++i) Take();
  EXPECT_FALSE(places_.MakeRoom());
  Take();  // what cannot be refused
  EXPECT_EQ(places_.taken(), 4u);
  held_.pop_back();
  held_.pop_back();
  EXPECT_TRUE(places_.MakeRoom());
}

TEST_F(PlacesTest, SaysOnceThatConnectionsAreReused) {
  for (int i = 0; i < 100; ++i) Take().Idle();
  ASSERT_EQ(lines_.lines.size(), 1u);
  EXPECT_NE(lines_.lines[0].find("3 worker_connections are not enough, reusing connections"),
            std::string::npos);
}

}  // namespace
}  // namespace limpet::worker
