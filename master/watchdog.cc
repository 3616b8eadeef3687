#include "master/watchdog.h"

#include <algorithm>
#include <utility>

namespace limpet::master {
namespace {

constexpr uint64_t kLongestStepMs = 2000;  // what one look may count, however long ago the last was
constexpr uint64_t kAbortTakesMs = 5000;   // writing a core file of some size included
// By so much longer may those stand still that wait for others: whoever keeps the lock may have
// beaten a second later than they, and is seen a second later. If they wait for each other, they
// are all ended.
constexpr uint64_t kForOthersMs = 5000;

}  // namespace

std::vector<Watchdog::Verdict> Watchdog::Check(std::span<const Seen> workers, uint64_t limit_ms,
                                               uint64_t now_ms) {
  const uint64_t before = std::exchange(checked_ms_, now_ms);
  const uint64_t step = before == 0 ? 0 : std::min(now_ms - before, kLongestStepMs);
  const bool one_ends = std::ranges::any_of(workers, [this](const Seen& seen) {
    const auto known = watched_.find(seen.pid);
    return known != watched_.end() && known->second.aborted && !seen.waits;
  });
  std::map<pid_t, Watched> living;
  std::vector<Verdict> verdicts;
  for (const Seen& seen : workers) {
    const auto known = watched_.find(seen.pid);
    Watched watched = known == watched_.end() ? Watched{.beat_ms = seen.beat_ms} : known->second;
    const bool turns = known == watched_.end() || seen.beat_ms != watched.beat_ms;
    watched.still_ms = turns ? 0 : watched.still_ms + (seen.waits && one_ends ? 0 : step);
    const uint64_t allowed_ms = limit_ms + (seen.waits ? kForOthersMs : 0);
    watched.beat_ms = seen.beat_ms;
    if (limit_ms > 0 && watched.still_ms > allowed_ms) {
      if (!watched.aborted) {
        verdicts.push_back({seen.pid, Order::kAbort, watched.still_ms});
      } else if (watched.still_ms > allowed_ms + kAbortTakesMs) {
        verdicts.push_back({seen.pid, Order::kKill, watched.still_ms});
      }
      watched.aborted = true;
    }
    living.emplace(seen.pid, watched);
  }
  watched_ = std::move(living);
  return verdicts;
}

}  // namespace limpet::master
