#include "shm/fill_history.h"

#include <gtest/gtest.h>

#include <memory>

namespace limpet::shm {
namespace {

TEST(FillHistory, IsOldestFirstAndBounded) {
  FillHistory history;
  EXPECT_TRUE(history.OldestFirst().empty());
  for (size_t i = 0; i < FillHistory::kSamples + 5; ++i) history.Add(static_cast<double>(i) / 1000);
  const auto shares = history.OldestFirst();
  ASSERT_EQ(shares.size(), FillHistory::kSamples);
  EXPECT_NEAR(shares.front(), 0.005, 1e-4);
  EXPECT_NEAR(shares.back(), (FillHistory::kSamples + 4) / 1000.0, 1e-4);
}

TEST(FillHistory, KeepsAFullZone) {
  FillHistory history;
  history.Add(1.0);
  EXPECT_DOUBLE_EQ(history.OldestFirst()[0], 1.0);
}

TEST(FillHistories, FindsZonesByName) {
  const auto histories = std::make_unique<FillHistories>();
  EXPECT_EQ(histories->Find("a"), nullptr);
  FillHistory* a = histories->FindOrAdd("a");
  FillHistory* b = histories->FindOrAdd("b");
  ASSERT_NE(a, nullptr);
  EXPECT_NE(a, b);
  EXPECT_EQ(histories->FindOrAdd("a"), a);
  EXPECT_EQ(histories->Find("b"), b);
}

TEST(FillHistories, HasAnEndOfItsPlaces) {
  const auto histories = std::make_unique<FillHistories>();
  int found = 0;
  while (histories->FindOrAdd("zone" + std::to_string(found)) != nullptr) ASSERT_LT(++found, 1000);
  EXPECT_GT(found, 16);
}

}  // namespace
}  // namespace limpet::shm
