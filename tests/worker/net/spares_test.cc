#include "worker/net/spares.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace limpet::worker {
namespace {

TEST(Spares, LendsWhatCameBackLast) {
  Spares<std::string> spares;
  auto first = spares.Take("one");
  auto second = spares.Take("two");
  EXPECT_EQ(*first + *second, "onetwo");
  const std::string* const last = second.get();
  spares.Return(std::move(first));
  spares.Return(std::move(second));
  spares.Return(nullptr);
  EXPECT_EQ(spares.Take("none is made").get(), last);
}

TEST(Spares, DropsWhatABurstHasLeft) {
  Spares<int> spares;
  const auto use = [&](int count) {
    std::vector<std::unique_ptr<int>> taken;
    for (int i = 0; i < count; ++i) taken.push_back(spares.Take(i));
    for (auto& one : taken) spares.Return(std::move(one));
  };
  use(100);
  EXPECT_EQ(spares.DropUnneeded(), 0u);  // just now there was none of them
  use(30);
  EXPECT_EQ(spares.DropUnneeded(), 70u);
  use(30);
  EXPECT_EQ(spares.DropUnneeded(), 0u);
  EXPECT_EQ(spares.DropUnneeded(), 30u);
  EXPECT_EQ(spares.DropUnneeded(), 0u);
}

}  // namespace
}  // namespace limpet::worker
