#include "worker/rebalance/move_plan.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace limpet::worker {
namespace {

bool Shares(const ServerLoad& load) { return load.role == LoadRole::kShares; }

struct Sum {
  uint64_t sessions = 0;
  uint64_t weight = 0;

  // Of so many sessions; no product of the two is lost.
  double ShareOf(const ServerLoad& load) const {
    return static_cast<double>(sessions) * load.weight / static_cast<double>(weight);
  }
};

Sum SumOf(std::span<const ServerLoad> loads) {
  Sum sum;
  for (const ServerLoad& load : loads) {
    if (!Shares(load)) continue;
    sum.sessions += load.sessions;
    sum.weight += static_cast<uint64_t>(load.weight);
  }
  return sum;
}

}  // namespace

std::vector<uint64_t> EvenTargets(std::span<const ServerLoad> loads) {
  const Sum sum = SumOf(loads);
  std::vector<uint64_t> targets(loads.size());
  std::vector<size_t> by_excess;
  uint64_t left = sum.sessions;
  for (size_t i = 0; i < loads.size(); ++i) {
    targets[i] = loads[i].sessions;
    if (!Shares(loads[i])) continue;
    targets[i] = std::min(static_cast<uint64_t>(sum.ShareOf(loads[i])), left);
    left -= targets[i];
    by_excess.push_back(i);
  }
  const auto excess = [&](size_t i) {
    return static_cast<int64_t>(loads[i].sessions) - static_cast<int64_t>(targets[i]);
  };
  std::ranges::stable_sort(by_excess, [&](size_t a, size_t b) { return excess(a) > excess(b); });
  for (size_t next = 0; left > 0; --left, next = (next + 1) % by_excess.size())
    ++targets[by_excess[next]];
  return targets;
}

bool IsEven(std::span<const ServerLoad> loads, double threshold) {
  const Sum sum = SumOf(loads);
  return std::ranges::all_of(loads, [&](const ServerLoad& load) {
    if (!Shares(load)) return true;
    const double share = sum.ShareOf(load);
    return std::abs(static_cast<double>(load.sessions) - share) <= std::max(threshold * share, 1.0);
  });
}

size_t LeastLoaded(std::span<const ServerLoad> loads) {
  size_t best = kNobody;
  for (size_t i = 0; i < loads.size(); ++i) {
    if (!Shares(loads[i])) continue;
    if (best == kNobody || loads[i].sessions * static_cast<uint64_t>(loads[best].weight) <
                               loads[best].sessions * static_cast<uint64_t>(loads[i].weight))
      best = i;
  }
  return best;
}

}  // namespace limpet::worker
