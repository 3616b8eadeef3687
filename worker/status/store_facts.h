// What the pages say about the stores that session zones are shared through.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "shm/store_state.h"

namespace limpet::worker {

// A zone and its store.
struct StoreUse {
  const conf::SessionStore* store;
  const conf::SessionZone* zone;
  const shm::StoreState* state;
};
// Of all zones that have a store, in their order. `states`: to http.session_zones.
std::vector<StoreUse> StoreUses(const conf::Http& http, std::span<shm::StoreState* const> states);

// From a moment of BootMs() until now.
uint64_t ForMs(uint64_t since);

// How long no worker has been able to ask the zone's store, in milliseconds; nullopt: it is there.
std::optional<uint64_t> LostForMs(const shm::StoreState& state);
// Since when the zone has gone on alone, of BootMs(): the store is lost, or what other machines
// change is not heard; nullopt: it does not.
std::optional<uint64_t> AloneSince(const shm::StoreState& state);

// "up", "lost" (for one of its zones at least), or "unused": no zone has it, and nobody connects.
std::string_view StoreStateName(const conf::SessionStore& store, std::span<const StoreUse> uses);

}  // namespace limpet::worker
