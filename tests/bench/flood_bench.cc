// What a flood of new sessions costs those who are there: the session table beside an exact LRU of
// the same capacity, on a clock of the benchmark's own. Prints how many uses of 5,000 sessions,
// each used every 5 to 60 seconds for five minutes before, found their session gone. The exact LRU
// takes what the table takes: where a quota bounds the flood, so it does for both.
#include <fmt/format.h>

#include <vector>

#include "shm/session_quota.h"
#include "tests/shm/flood.h"

namespace limpet::shm {
namespace {

struct Case {
  const char* what;
  FloodPlan plan;
  uint64_t addresses = 1;
  uint32_t quota = 0;  // sessions of each; 0: any number
  uint64_t rate = 0;   // that each begins, in thousandths a second, with a burst of two; 0: any
};

void Print(const Case& c) {
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  FloodGame game(c.plan);
  const size_t bytes = SessionQuota::BytesFor(game.t().table.Capacity());
  std::vector<Line> memory(bytes / sizeof(Line));
  SessionQuota quota(reinterpret_cast<std::byte*>(memory.data()), bytes);
  const FloodGame::Admit admit = [&](uint64_t n, uint64_t now) {
    const Digest128 client = quota.ClientOf(fmt::format("address {}", n % c.addresses));
    return quota.Admit(client, game.t().Key(c.plan.regulars + n),
                       {.sessions = c.quota, .rate = c.rate, .burst = 2000}, game.t().table,
                       now) == SessionQuota::Verdict::kAdmitted;
  };
  const FloodFigures f = game.Run(c.quota > 0 ? admit : FloodGame::Admit());
  fmt::print("{:<56} {:>8} {:>8} {:>6} {:>6} {:>10}\n", c.what, f.begun, f.learned, f.uses, f.lost,
             f.lost_exact);
}

void Run() {
  const std::vector<uint64_t> over_30_s = {5000, 10'000, 20'000, 30'000};
  fmt::print("a zone of 1m, {} sessions; 5,000 in use\n\n", SessionTable::CapacityFor(1 << 20));
  fmt::print("{:<56} {:>8} {:>8} {:>6} {:>6} {:>10}\n", "the flood", "begun", "learned", "uses",
             "lost", "exact LRU");
  for (const Case& c : std::initializer_list<Case>{
           {"50 times the capacity in a minute, used once", {.used_again_ms = {}}},
           {"50 times, used twice at once", {.used_again_ms = {20}}},
           {"50 times, used again after a second", {.used_again_ms = {1000}}},
           {"5 times, used over 12 seconds", {.times = 5, .used_again_ms = {1000, 4000, 12'000}}},
           {"0.9 times, used over 30 seconds", {.times = 0.9, .used_again_ms = over_30_s}},
           {"10 times in 10 minutes, used over 30 seconds",
            {.times = 10, .flood_s = 600, .used_again_ms = over_30_s}},
           {"50 times, twice at once, one address, quota 1000", {.used_again_ms = {20}}, 1, 1000},
           {"50 times, twice at once, 10,000 addresses, 1r/m:2",
            {.used_again_ms = {20}},
            10'000,
            1000,
            1000 / 60},
           {"10 times in 10 minutes, 30 s, 10,000 addresses, 1r/m:2",
            {.times = 10, .flood_s = 600, .used_again_ms = over_30_s},
            10'000,
            1000,
            1000 / 60},
       }) {
    Print(c);
  }
}

}  // namespace
}  // namespace limpet::shm

int main() { limpet::shm::Run(); }
