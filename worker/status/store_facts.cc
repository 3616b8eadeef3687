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

std::optional<uint64_t> Moment(const std::atomic<uint64_t>& since_ms) {
  const uint64_t since = since_ms.load(std::memory_order_relaxed);
  return since == 0 ? std::nullopt : std::optional(since);
}

}  // namespace

uint64_t ForMs(uint64_t since) {
  const uint64_t now = BootMs();
  return now - std::min(now, since);
}

std::optional<uint64_t> LostForMs(const shm::StoreState& state) {
  const auto lost = Moment(state.figures.lost_ms);
  return lost ? std::optional(ForMs(*lost)) : std::nullopt;
}

std::optional<uint64_t> AloneSince(const shm::StoreState& state) {
  const auto lost = Moment(state.figures.lost_ms), deaf = Moment(state.figures.deaf_ms);
  if (!deaf || ForMs(*deaf) < shm::StoreFigures::kDeafMs) return lost;
  return lost ? std::min(*lost, *deaf) : deaf;
}

std::string_view StoreStateName(const conf::SessionStore& store, std::span<const StoreUse> uses) {
  std::string_view name = "unused";
  for (const StoreUse& use : uses) {
    if (use.store != &store) continue;
    if (AloneSince(*use.state)) return "lost";
    name = "up";
  }
  return name;
}

}  // namespace limpet::worker
