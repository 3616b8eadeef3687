#include "shm/alert_ring.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace limpet::shm {
namespace {

TEST(AlertRing, ShowsTheNewestFirst) {
  AlertRing ring;
  EXPECT_TRUE(ring.Newest().empty());
  ring.Add(LogLevel::kWarn, "one");
  ring.Add(LogLevel::kCrit, "two");
  const auto alerts = ring.Newest();
  ASSERT_EQ(alerts.size(), 2u);
  EXPECT_EQ(alerts[0].text, "two");
  EXPECT_EQ(alerts[0].level, LogLevel::kCrit);
  EXPECT_EQ(alerts[0].number, 2u);
  EXPECT_EQ(alerts[1].text, "one");
  EXPECT_GT(alerts[1].wall_ms, 0);
}

TEST(AlertRing, KeepsTheNewestOnly) {
  AlertRing ring;
  for (size_t i = 1; i <= AlertRing::kAlerts + 10; ++i)
    ring.Add(LogLevel::kWarn, std::to_string(i));
  const auto alerts = ring.Newest();
  ASSERT_EQ(alerts.size(), AlertRing::kAlerts);
  EXPECT_EQ(alerts.front().text, std::to_string(AlertRing::kAlerts + 10));
  EXPECT_EQ(alerts.back().text, "11");
}

TEST(AlertRing, CutsWhatIsTooLong) {
  AlertRing ring;
  const std::string text(1000, 'x');
  ring.Add(LogLevel::kWarn, text);
  EXPECT_EQ(ring.Newest()[0].text, text.substr(0, AlertRing::kMaxText));
}

TEST(AlertRing, SaysTheSameOnceInATime) {
  AlertRing ring;
  EXPECT_TRUE(ring.AddOncePer(std::chrono::hours(1), LogLevel::kWarn, "one"));
  EXPECT_FALSE(ring.AddOncePer(std::chrono::hours(1), LogLevel::kWarn, "one"));
  EXPECT_TRUE(ring.AddOncePer(std::chrono::hours(1), LogLevel::kWarn, "two"));
  EXPECT_TRUE(ring.AddOncePer(std::chrono::hours(0), LogLevel::kWarn, "one"));
  EXPECT_EQ(ring.Newest().size(), 3u);
}

// A reader sees a line as it was written or not at all.
TEST(AlertRing, IsReadWhileItIsWritten) {
  AlertRing ring;
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (size_t i = 0; !stop; ++i)
      ring.Add(LogLevel::kWarn, std::string(1 + i % 200, static_cast<char>('a' + i % 26)));
  });
  size_t read = 0;
  for (int i = 0; i < 2000 || read == 0; ++i) {  // the writer may begin late
    for (const Alert& alert : ring.Newest()) {
      ++read;
      ASSERT_EQ(alert.text.find_first_not_of(alert.text[0]), std::string::npos) << alert.text;
    }
  }
  stop = true;
  writer.join();
}

}  // namespace
}  // namespace limpet::shm
