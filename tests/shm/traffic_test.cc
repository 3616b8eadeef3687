#include "shm/traffic.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "shm/check_notes.h"

namespace limpet::shm {
namespace {

// Memory as the master maps it.
template <class T>
struct Zeroed {
  struct Free {
    void operator()(T* freed) const { std::free(freed); }
  };
  static constexpr size_t kBytes = (sizeof(T) + 63) / 64 * 64;
  std::unique_ptr<T, Free> memory{static_cast<T*>(std::aligned_alloc(64, kBytes))};
  Zeroed() { std::memset(static_cast<void*>(memory.get()), 0, kBytes); }
  T* operator->() { return memory.get(); }
};

TEST(Traffic, AddsUpWhatWorkersCount) {
  Zeroed<Traffic> traffic;
  traffic->Use(0);
  traffic->Use(3);
  traffic->Line(0, 7).Add(2, 200, 5);
  traffic->Line(3, 7).Add(2, 503, 40'000);
  traffic->Line(3, 7).Add(1, 0, -1);
  traffic->Line(3, 8).Add(1, 200, 1);
  const TrafficSums sums = traffic->Sum(7);
  EXPECT_EQ(sums.requests(), 3u);
  EXPECT_EQ(sums.by_sticky[2], 2u);
  EXPECT_EQ(sums.by_class[2], 1u);
  EXPECT_EQ(sums.by_class[5], 1u);
  EXPECT_EQ(sums.by_class[0], 1u);
  EXPECT_EQ(sums.timed(), 2u) << "a time below 0 says nothing";
  EXPECT_EQ(sums.time_ms, 40'005u);
  traffic->Clear(7);
  EXPECT_EQ(traffic->Sum(7).requests(), 0u);
  EXPECT_EQ(traffic->Sum(8).requests(), 1u);
}

TEST(Traffic, ASlotThatNobodyHasUsedIsNotLookedAt) {
  Zeroed<Traffic> traffic;
  traffic->Line(5, 1).Add(1, 200, 1);
  EXPECT_EQ(traffic->Sum(1).requests(), 0u);
}

TEST(Traffic, ATimeBelongsToTheFirstBoundThatItDoesNotExceed) {
  TrafficLine line{};
  for (const int64_t ms : {0, 1, 2, 3, 5, 60'000, 60'001}) line.Add(0, 200, ms);
  EXPECT_EQ(line.counted.by_time[0], 2u);
  EXPECT_EQ(line.counted.by_time[1], 1u);
  EXPECT_EQ(line.counted.by_time[2], 2u);
  EXPECT_EQ(line.counted.by_time[TrafficSums::kBoundsMs.size() - 1], 1u);
  EXPECT_EQ(line.counted.by_time[TrafficSums::kBoundsMs.size()], 1u);
}

TEST(Traffic, WordsAndStatusesOutOfRangeHaveTheirPlace) {
  TrafficLine line{};
  line.Add(99, 999, 1);
  EXPECT_EQ(line.counted.by_sticky[TrafficSums::kStickyWords - 1], 1u);
  EXPECT_EQ(line.counted.by_class[0], 1u);
}

TEST(Traffic, PercentilesLieWithinTheirBounds) {
  TrafficSums sums;
  EXPECT_EQ(sums.PercentileMs(50), 0);
  sums.by_time[4] = 100;  // 10 to 20 ms
  EXPECT_DOUBLE_EQ(sums.PercentileMs(50), 15);
  EXPECT_DOUBLE_EQ(sums.PercentileMs(99), 19.9);
  sums.by_time[TrafficSums::kBoundsMs.size()] = 100;  // over a minute
  EXPECT_DOUBLE_EQ(sums.PercentileMs(99), 60'000);
  EXPECT_DOUBLE_EQ(sums.PercentileMs(25), 15);
}

TEST(TrafficHistory, KeepsTheNewestInTheirOrder) {
  Zeroed<TrafficHistory> history;
  EXPECT_TRUE(history->OldestFirst().empty());
  for (uint32_t i = 0; i < TrafficHistory::kSamples + 5; ++i) history->Add({i, i / 2});
  const auto samples = history->OldestFirst();
  ASSERT_EQ(samples.size(), TrafficHistory::kSamples);
  EXPECT_EQ(samples.front().requests, 5u);
  EXPECT_EQ(samples.back().requests, TrafficHistory::kSamples + 4);
  EXPECT_EQ(samples.back().faults, (TrafficHistory::kSamples + 4) / 2);
}

TEST(CheckNotes, SayWhatTheLastCheckHasFound) {
  Zeroed<CheckNotes> notes;
  EXPECT_EQ(notes->Find("app", "10.0.0.1:80").checked_ms, 0u);
  notes->Checked("app", "10.0.0.1:80", 1000, "checking status code (500)");
  notes->Changed("app", "10.0.0.1:80", 900);
  const CheckFacts facts = notes->Find("app", "10.0.0.1:80");
  EXPECT_EQ(facts.checked_ms, 1000u);
  EXPECT_EQ(facts.changed_ms, 900u);
  EXPECT_EQ(facts.failed_in, "checking status code (500)");
  EXPECT_EQ(notes->Find("other", "10.0.0.1:80").checked_ms, 0u);
  notes->Checked("app", "10.0.0.1:80", 2000, "");
  EXPECT_EQ(notes->Find("app", "10.0.0.1:80").failed_in, "");
}

TEST(CheckNotes, CutTextsOff) {
  Zeroed<CheckNotes> notes;
  notes->Checked("app", "one", 1, std::string(500, 'x'));
  EXPECT_EQ(notes->Find("app", "one").failed_in, std::string(103, 'x'));
}

TEST(CheckNotes, OfManyPeersAreThoseThatWereHeardOfLast) {
  Zeroed<CheckNotes> notes;
  for (uint64_t i = 1; i <= 50'000; ++i) notes->Checked("app", std::to_string(i), i, "no");
  EXPECT_EQ(notes->Find("app", "50000").checked_ms, 50'000u);
  EXPECT_EQ(notes->Find("app", "1").checked_ms, 0u);
  notes->Changed("app", "50001", 50'001);
  EXPECT_EQ(notes->Find("app", "50001").failed_in, "") << "what the place said of another is gone";
}

}  // namespace
}  // namespace limpet::shm
