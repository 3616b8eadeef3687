// What a flood of new sessions costs those who are there: the session table beside an exact LRU of
// the same capacity, on a clock of the benchmark's own. Prints how many uses of 5,000 sessions,
// each used every 5 to 60 seconds for five minutes before, found their session gone.
#include <fmt/format.h>

#include "tests/shm/flood.h"

namespace limpet::shm {
namespace {

void Print(const char* what, const FloodPlan& plan) {
  FloodGame game(plan);
  const FloodFigures f = game.Run();
  fmt::print("{:<52} {:>9} {:>8} {:>8} {:>8}\n", what, f.begun, f.uses, f.lost, f.lost_exact);
}

void Run() {
  fmt::print("a zone of 1m, {} sessions; 5,000 in use\n\n", SessionTable::CapacityFor(1 << 20));
  fmt::print("{:<52} {:>9} {:>8} {:>8} {:>8}\n", "the flood", "begun", "uses", "lost", "exact LRU");
  Print("50 times the capacity in a minute, used once", {.used_again_ms = {}});
  Print("50 times, used twice at once", {.used_again_ms = {20}});
  Print("50 times, used again after a second", {.used_again_ms = {1000}});
  Print("5 times, used over 12 seconds", {.times = 5, .used_again_ms = {1000, 4000, 8000, 12'000}});
  Print("0.9 times, used over 30 seconds",
        {.times = 0.9, .used_again_ms = {5000, 10'000, 20'000, 30'000}});
  Print("10 times in 10 minutes, used over 30 seconds",
        {.times = 10, .flood_s = 600, .used_again_ms = {5000, 10'000, 20'000, 30'000}});
}

}  // namespace
}  // namespace limpet::shm

int main() { limpet::shm::Run(); }
