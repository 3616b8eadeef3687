// Which sessions a full table gives up: beside an exact LRU of the same capacity, under floods of
// sessions that are each used once while a thousand others are used once a round.
#include <gtest/gtest.h>

#include <ostream>

#include "tests/shm/exact_lru.h"
#include "tests/shm/table_fixture.h"

namespace limpet::shm {
namespace {

constexpr uint64_t kRegulars = 1000;

struct Flood {
  const char* what;
  uint64_t percent;   // of the capacity, a round
  uint64_t round_ms;  // how long a round takes
  uint64_t rounds;
  uint64_t timeout_s = 600;
  // More than the exact LRU: shards do not fill alike, and uses are known to a tenth of a second.
  uint64_t may_lose = 0;
};
void PrintTo(const Flood& flood, std::ostream* out) { *out << flood.what; }

class Rotation : public testing::TestWithParam<Flood> {
 protected:
  void Round(const Flood& flood) {
    const uint64_t count = t_.table.Capacity() * flood.percent / 100;
    const uint64_t begin = t_.now;
    for (uint64_t i = 0; i < count; ++i) {
      t_.now = begin + flood.round_ms * i / count;
      for (; regular_ < kRegulars * (i + 1) / count; ++regular_) Use(regular_);
      const uint64_t once = kRegulars + flooded_++;
      t_.Learn(once, peer_);
      Use(once);
    }
    t_.now = begin + flood.round_ms;
    regular_ = 0;
  }
  void Use(uint64_t n) {
    if (n >= kRegulars || t_.Lookup(n).result == LookupResult::kHit) t_.Lookup(n);
    exact_.Use(n);
  }

  TestTable t_{1 << 20, {.timeout = std::chrono::seconds(GetParam().timeout_s)}};
  ExactLru exact_{t_.table.Capacity()};
  uint16_t peer_ = t_.table.PeerIndex("a");
  uint64_t flooded_ = 0;
  uint64_t regular_ = 0;
};

TEST_P(Rotation, KeepsThoseThatAnExactLruKeeps) {
  const Flood& flood = GetParam();
  for (uint64_t n = 0; n < kRegulars; ++n) t_.Learn(n, peer_);
  for (uint64_t round = 0; round < flood.rounds; ++round) Round(flood);
  uint64_t kept = 0;
  uint64_t kept_by_exact = 0;
  for (uint64_t n = 0; n < kRegulars; ++n) {
    kept += t_.Hit(n) ? 1 : 0;
    kept_by_exact += exact_.Has(n) ? 1 : 0;
  }
  RecordProperty("kept", static_cast<int>(kept));
  RecordProperty("kept_by_an_exact_lru", static_cast<int>(kept_by_exact));
  EXPECT_GE(kept + flood.may_lose, kept_by_exact);
  EXPECT_GT(t_.table.Sum().rotated, 0u);
  EXPECT_EQ(t_.table.Check(t_.now), "");
}

INSTANTIATE_TEST_SUITE_P(Floods, Rotation,
                         testing::Values(Flood{"0.9 in 30 s", 90, 30'000, 6},
                                         Flood{"0.9 in 3 s", 90, 3'000, 8, 600, 20},
                                         Flood{"0.9 in 60 s of an hour", 90, 60'000, 6, 3600},
                                         Flood{"0.9 in 60 s, no timeout", 90, 60'000, 6, 0},
                                         Flood{"0.3 in 1 s", 30, 1'000, 12},
                                         Flood{"0.3 in 300 ms", 30, 300, 12},
                                         Flood{"0.3 in 300 ms of a day", 30, 300, 12, 86400},
                                         Flood{"0.6 in 90 s of a day", 60, 90'000, 12, 86400},
                                         Flood{"0.95 in 30 s", 95, 30'000, 6, 600, 400}));

}  // namespace
}  // namespace limpet::shm
