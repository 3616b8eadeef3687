#include "master/status_zones.h"

#include "shm/zone.h"

namespace limpet::master {

Result<std::shared_ptr<shm::StatusZone>> StatusZones::Find(const conf::StatusZone& wanted) {
  std::erase_if(kept_, [](const auto& entry) { return entry.second.zone.expired(); });
  const uint32_t values = wanted.values.value_or(0);
  Kept& kept = kept_[{wanted.kind, wanted.name}];
  if (auto known = kept.zone.lock(); known != nullptr && kept.values == values) return known;
  struct Made {
    shm::Zone memory;
    shm::StatusZone zone;
  };
  auto memory = shm::Zone::Anonymous(shm::StatusZone::BytesFor(values));
  if (!memory) return memory.error();
  std::byte* const bytes = memory->data();
  const auto made = std::make_shared<Made>(Made{std::move(*memory), {bytes, values}});
  std::shared_ptr<shm::StatusZone> zone(made, &made->zone);
  kept = {values, zone};
  return zone;
}

void StatusZones::ForgetWorker(int slot) {
  for (const auto& [name, kept] : kept_) {
    if (const auto zone = kept.zone.lock()) zone->ForgetWorker(slot);
  }
}

}  // namespace limpet::master
