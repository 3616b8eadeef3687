#include "shm/fill_level.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace limpet::shm {
namespace {

using testing::HasSubstr;

struct Zone {
  FillLevel level{"one", {}};
  FillSample sample{.capacity = 1000};

  std::optional<FillLine> At(uint64_t live, uint64_t after_ms = 1000) {
    sample.live = live;
    sample.now_ms += after_ms;
    return level.Update(sample);
  }
};

TEST(FillLevel, EachLevelIsRaisedOnce) {
  Zone zone;
  EXPECT_FALSE(zone.At(749));
  auto line = zone.At(750);
  ASSERT_TRUE(line);
  EXPECT_EQ(line->level, LogLevel::kWarn);
  EXPECT_THAT(line->text, HasSubstr("session zone \"one\" reached 75%: 75% full, 750 of 1000"));
  EXPECT_FALSE(zone.At(800));
  EXPECT_EQ(zone.At(850)->level, LogLevel::kError);
  EXPECT_FALSE(zone.At(900));
  EXPECT_EQ(zone.At(950)->level, LogLevel::kCrit);
  EXPECT_FALSE(zone.At(1000));
}

TEST(FillLevel, ALevelIsWithdrawnOnceAndOnlyClearlyBelow) {
  Zone zone;
  zone.At(0);
  EXPECT_EQ(zone.At(960)->level, LogLevel::kCrit);  // at once, not by way of warn
  EXPECT_FALSE(zone.At(940));
  EXPECT_FALSE(zone.At(955));
  zone.sample.rotated += 73;
  auto line = zone.At(900);
  ASSERT_TRUE(line);
  EXPECT_EQ(line->level, LogLevel::kNotice);
  EXPECT_THAT(line->text, HasSubstr("is below 95%"));
  EXPECT_THAT(line->text, HasSubstr("73 rotated"));
  EXPECT_THAT(line->text, Not(HasSubstr("full now"))) << "it was, and has drained";
  EXPECT_FALSE(zone.At(899));
  EXPECT_EQ(zone.At(10)->level, LogLevel::kNotice);
  EXPECT_FALSE(zone.At(0));
  EXPECT_EQ(zone.At(760)->level, LogLevel::kWarn);  // and again
}

TEST(FillLevel, RatesThatAreAlmostNoneSayNoNumberOfDays) {
  FillLevel level("one", {.minor = 0.5});
  FillSample sample{.live = 400, .capacity = 1000};
  level.Update(sample);
  sample.now_ms = 1000;
  sample.live = 401;
  level.Update(sample);
  for (int i = 0; i < 200; ++i) level.Update((sample.now_ms += 1000, sample));  // decays to 1e-32
  sample.now_ms += uint64_t{3650} * 86400 * 1000;
  sample.live = 500;
  EXPECT_THAT(level.Update(sample)->text, HasSubstr("not filling up at the present rate"));
}

TEST(FillLevel, SharesBelowOnePercentHaveADecimal) {
  FillLevel level("one", {.minor = 0.004, .major = 0.5, .crit = 0.9});
  FillSample sample{.capacity = 1000};
  level.Update(sample);
  sample = {.live = 4, .capacity = 1000, .now_ms = 1000};
  EXPECT_THAT(level.Update(sample)->text, HasSubstr("reached 0.4%: 0.4% full, 4 of 1000"));
  sample = {.live = 0, .capacity = 1000, .now_ms = 2000};
  EXPECT_THAT(level.Update(sample)->text, HasSubstr("is below 0.4%: 0% full"));
}

TEST(FillLevel, WhileItSuffersALineAMinuteWithTheFigures) {
  Zone zone;
  zone.At(0);
  zone.At(960);
  int lines = 0;
  for (int second = 0; second < 300; ++second) {
    zone.sample.rotated += 3;
    zone.sample.refused += 1;
    const auto line = zone.At(970);
    if (!line) continue;
    ++lines;
    EXPECT_EQ(line->level, LogLevel::kCrit);
    EXPECT_THAT(line->text, HasSubstr("180 rotated and 60 refused since the last line, full now"));
  }
  EXPECT_EQ(lines, 5);
  for (int second = 0; second < 300; ++second) EXPECT_FALSE(zone.At(970));
}

TEST(FillLevel, SaysWhenItWillBeFull) {
  Zone zone;
  zone.At(0);
  std::optional<FillLine> line;
  for (uint64_t live = 10; !line; live += 10) line = zone.At(live);
  EXPECT_THAT(line->text, HasSubstr("full in 25s at the present rate"));
}

// The form that packaging/ALERTS.md documents.
TEST(FillLevel, SaysTheSameOfWhateverFillsUp) {
  FillLevel files({"open files", "files", false}, {});
  FillSample sample{.live = 10, .capacity = 100, .now_ms = 1000, .process = 77};
  EXPECT_FALSE(files.Update(sample));
  sample.live = 90;
  sample.now_ms += 1000;
  const auto line = files.Update(sample);
  ASSERT_TRUE(line);
  EXPECT_EQ(line->level, LogLevel::kError);
  EXPECT_EQ(
      line->text,
      "open files reached 85%: 90% full, 90 of 100 files in worker process 77, full in 0s at the "
      "present rate");
}

TEST(FillLevel, WhatWasBeforeIsNotNews) {
  Zone zone;
  zone.sample.rotated = 500;
  const auto line = zone.At(990);
  ASSERT_TRUE(line);
  EXPECT_THAT(line->text, HasSubstr("0 rotated"));
}

}  // namespace
}  // namespace limpet::shm
