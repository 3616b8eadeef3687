// Who gives sessions, who takes them, and when loads are even.
#include "worker/rebalance/move_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <string>

namespace limpet::worker {
namespace {

using testing::ElementsAreArray;

constexpr LoadRole kShares = LoadRole::kShares, kLeaves = LoadRole::kLeaves,
                   kAway = LoadRole::kAway;

struct Row {
  std::string why;
  std::vector<ServerLoad> loads;
  std::vector<uint64_t> targets;
  bool even;  // within a tenth
};

const std::vector<Row> kRows = {
    {"nobody is there", {}, {}, true},
    {"nobody has any", {{0}, {0}}, {0, 0}, true},
    {"one server alone", {{7}}, {7}, true},
    {"a third one is new", {{600}, {600}, {0}}, {400, 400, 400}, false},
    {"within a tenth", {{95}, {105}}, {100, 100}, true},
    {"at a tenth", {{90}, {110}}, {100, 100}, true},
    {"beyond it", {{89}, {111}}, {100, 100}, false},
    {"one more or less is even", {{1}, {2}, {3}}, {2, 2, 2}, true},
    {"what cannot be shared out", {{4}, {3}, {3}}, {4, 3, 3}, true},
    {"stays where it is", {{3}, {3}, {4}}, {3, 3, 4}, true},
    {"of two that have it, at the first", {{5}, {5}, {1}}, {4, 4, 3}, false},
    {"by weight", {{100, 1}, {100, 3}}, {50, 150}, false},
    {"by weight, even", {{100, 1}, {300, 3}}, {100, 300}, true},
    {"by weight, with a rest", {{0, 2}, {7, 3}}, {2, 5}, false},
    {"one that drains gives otherwise", {{10}, {20}, {500, 1, kLeaves}}, {15, 15, 500}, false},
    {"one that is away does not count", {{10}, {10}, {500, 1, kAway}}, {10, 10, 500}, true},
    {"all are away", {{10, 1, kAway}, {500, 1, kLeaves}}, {10, 500}, true},
    {"a great many", {{4'000'000'000, 100}, {0, 100}}, {2'000'000'000, 2'000'000'000}, false},
};

TEST(MovePlan, IsWhatTheTableSays) {
  for (const Row& row : kRows) {
    EXPECT_THAT(EvenTargets(row.loads), ElementsAreArray(row.targets)) << row.why;
    EXPECT_EQ(IsEven(row.loads, 0.1), row.even) << row.why;
  }
}

// Whatever the loads: no session comes from nowhere or goes there, targets are even, and a server
// that gives none takes none.
TEST(MovePlan, KeepsItsPromises) {
  uint32_t random = 1;
  const auto next = [&random](uint32_t below) {
    random = random * 1664525 + 1013904223;
    return (random >> 8) % below;
  };
  for (int turn = 0; turn < 2000; ++turn) {
    std::vector<ServerLoad> loads;
    for (uint32_t i = next(8); i > 0; --i) {
      loads.push_back({.sessions = next(turn % 2 == 0 ? 5 : 5000),
                       .weight = static_cast<int>(next(9) + 1),
                       .role = static_cast<LoadRole>(next(4) == 0 ? next(3) : 0)});
    }
    const std::vector<uint64_t> targets = EvenTargets(loads);
    ASSERT_EQ(targets.size(), loads.size());
    uint64_t before = 0, after = 0, gives = 0, takes = 0;
    std::vector<ServerLoad> then = loads;
    for (size_t i = 0; i < loads.size(); ++i) {
      before += loads[i].sessions;
      after += targets[i];
      then[i].sessions = targets[i];
      (targets[i] > loads[i].sessions ? takes : gives) +=
          std::max(targets[i], loads[i].sessions) - std::min(targets[i], loads[i].sessions);
      if (loads[i].role != kShares) {
        EXPECT_EQ(targets[i], loads[i].sessions);
      }
    }
    EXPECT_EQ(before, after);
    EXPECT_EQ(gives, takes);
    EXPECT_TRUE(IsEven(then, 0));
    EXPECT_THAT(EvenTargets(then), ElementsAreArray(targets)) << "at the end nothing is left to do";
  }
}

TEST(MovePlan, GivesToWhoHasTheFewestForItsWeight) {
  EXPECT_EQ(LeastLoaded(std::vector<ServerLoad>{}), kNobody);
  EXPECT_EQ(LeastLoaded(std::vector<ServerLoad>{{0, 1, kAway}, {0, 1, kLeaves}}), kNobody);
  EXPECT_EQ(LeastLoaded(std::vector<ServerLoad>{{3}, {2}, {0, 1, kAway}}), 1u);
  EXPECT_EQ(LeastLoaded(std::vector<ServerLoad>{{30, 10}, {5, 1}}), 0u);
  EXPECT_EQ(LeastLoaded(std::vector<ServerLoad>{{2}, {2}}), 0u);
}

}  // namespace
}  // namespace limpet::worker
