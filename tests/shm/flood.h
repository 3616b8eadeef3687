// Clients that use their sessions for minutes, and an attacker who begins many times what the zone
// holds: played against a table and an exact LRU of the same capacity, on a clock of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <random>
#include <vector>

#include "tests/shm/exact_lru.h"
#include "tests/shm/table_fixture.h"

namespace limpet::shm {

struct FloodPlan {
  size_t zone_bytes = 1 << 20;
  uint64_t regulars = 5000;  // each uses its session every 5 to `pause_most_s` seconds
  uint64_t pause_most_s = 60;
  uint64_t before_s = 300;  // they have been here for so long when the flood begins
  double times = 50;        // the zone's capacity, so often
  uint64_t flood_s = 60;    // in so long
  // When a session of the flood is used again after it has begun.
  std::vector<uint64_t> used_again_ms = {20};
  uint64_t timeout_s = 600;
};

struct FloodFigures {
  uint64_t begun = 0;       // by the flood
  uint64_t learned = 0;     // of them, by the table
  uint64_t lost = 0;        // regulars that found their session gone, in the table
  uint64_t lost_exact = 0;  // and in the exact LRU
  uint64_t uses = 0;        // of the regulars during the flood
};

class FloodGame {
 public:
  // Whether a new session of the flood, its number given, may be learned.
  using Admit = std::function<bool(uint64_t n, uint64_t now_ms)>;

  explicit FloodGame(const FloodPlan& plan)
      : plan_(plan),
        t_(plan.zone_bytes, {.timeout = std::chrono::seconds(plan.timeout_s)}),
        exact_(t_.table.Capacity()) {}

  FloodFigures Run(const Admit& admit = nullptr) {
    const uint64_t begin = t_.now;
    const uint64_t flood_begin = begin + plan_.before_s * 1000;
    const uint64_t end = flood_begin + plan_.flood_s * 1000;
    const auto most = static_cast<uint64_t>(static_cast<double>(t_.table.Capacity()) * plan_.times);
    for (uint64_t n = 0; n < plan_.regulars; ++n) events_.push({begin + random_() % 60'000, n});
    for (uint64_t i = 0; i < most; ++i) {
      const uint64_t at = flood_begin + plan_.flood_s * 1000 * i / most;
      PlayUntil(at, flood_begin);
      t_.now = at;
      ++figures_.begun;
      const uint64_t n = plan_.regulars + i;
      if (admit && !admit(i, at)) continue;
      ++figures_.learned;
      t_.Learn(n, peer_);
      exact_.Use(n);
      for (const uint64_t again : plan_.used_again_ms) events_.push({at + again, n});
    }
    PlayUntil(end, flood_begin);
    t_.now = end;
    return figures_;
  }

  TestTable& t() { return t_; }

 private:
  struct Use {
    uint64_t at, n;
    bool operator>(const Use& other) const { return at > other.at; }
  };

  void PlayUntil(uint64_t until, uint64_t flood_begin) {
    while (!events_.empty() && events_.top().at <= until) {
      const Use use = events_.top();
      events_.pop();
      t_.now = use.at;
      if (use.n < plan_.regulars) {
        UseRegular(use.n, use.at >= flood_begin);
      } else if (t_.Lookup(use.n).result == LookupResult::kHit) {
        exact_.Use(use.n);
      }
    }
  }

  // One that is gone begins anew, as a client does.
  void UseRegular(uint64_t n, bool counts) {
    const bool hit = t_.Lookup(n).result == LookupResult::kHit;
    if (!hit) t_.Learn(n, peer_);
    if (counts) {
      ++figures_.uses;
      figures_.lost += hit ? 0 : 1;
      figures_.lost_exact += exact_.Has(n) ? 0 : 1;
    }
    exact_.Use(n);
    events_.push({t_.now + 5000 + random_() % ((plan_.pause_most_s - 5) * 1000), n});
  }

  FloodPlan plan_;
  TestTable t_;
  ExactLru exact_;
  uint16_t peer_ = t_.table.PeerIndex("a");
  FloodFigures figures_;
  std::mt19937_64 random_{11};
  std::priority_queue<Use, std::vector<Use>, std::greater<>> events_;
};

}  // namespace limpet::shm
