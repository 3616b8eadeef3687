#include "worker/status/store_facts.h"

#include <algorithm>
#include <atomic>

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

namespace {

std::optional<uint64_t> ForMs(const std::atomic<uint64_t>& since_ms) {
  const uint64_t since = since_ms.load(std::memory_order_relaxed);
  if (since == 0) return std::nullopt;
  const uint64_t now = BootMs();
  return now - std::min(now, since);
}

}  // namespace

std::optional<uint64_t> LostForMs(const shm::StoreState& state) {
  return ForMs(state.figures.lost_ms);
}

std::optional<uint64_t> AloneForMs(const shm::StoreState& state) {
  const auto lost = LostForMs(state), deaf = ForMs(state.figures.deaf_ms);
  return deaf >= shm::StoreFigures::kDeafMs ? std::max(lost, deaf) : lost;
}

std::string_view StoreStateName(const conf::SessionStore& store, std::span<const StoreUse> uses) {
  std::string_view name = "unused";
  for (const StoreUse& use : uses) {
    if (use.store != &store) continue;
    if (AloneForMs(*use.state)) return "lost";
    name = "up";
  }
  return name;
}

}  // namespace limpet::worker
