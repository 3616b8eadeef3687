#include "worker/status/store_facts.h"

#include <algorithm>

#include "base/clock.h"

namespace limpet::worker {

std::vector<StoreUse> StoreUses(const conf::Http& http, std::span<shm::StoreState* const> states) {
  std::vector<StoreUse> uses;
  for (size_t i = 0; i < states.size() && i < http.session_zones.size(); ++i) {
    const conf::SessionZone& zone = http.session_zones[i];
    if (zone.store < 0 || states[i] == nullptr) continue;
    uses.push_back({&http.session_stores[static_cast<size_t>(zone.store)], &zone, states[i]});
  }
  return uses;
}

std::optional<uint64_t> LostForMs(const shm::StoreState& state) {
  const uint64_t since = state.figures.lost_ms.load(std::memory_order_relaxed);
  if (since == 0) return std::nullopt;
  const uint64_t now = BootMs();
  return now - std::min(now, since);
}

std::string_view StoreStateName(const conf::SessionStore& store, std::span<const StoreUse> uses) {
  std::string_view name = "unused";
  for (const StoreUse& use : uses) {
    if (use.store != &store) continue;
    if (LostForMs(*use.state)) return "lost";
    name = "up";
  }
  return name;
}

}  // namespace limpet::worker
