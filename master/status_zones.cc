#include "master/status_zones.h"

#include "shm/zone.h"

namespace limpet::master {

Result<std::shared_ptr<shm::StatusZone>> StatusZones::Find(const conf::StatusZone& wanted) {
  std::erase_if(kept_, [](const auto& entry) { return entry.second.expired(); });
  const uint32_t values = wanted.values.value_or(0);
  std::weak_ptr<shm::StatusZone>& kept = kept_[{wanted.kind, wanted.name, values}];
  if (auto known = kept.lock()) return known;
  struct Made {
    shm::Zone memory;
    shm::StatusZone zone;
  };
  auto memory = shm::Zone::Anonymous(shm::StatusZone::BytesFor(values));
  if (!memory) return memory.error();
  std::byte* const bytes = memory->data();
  const auto made = std::make_shared<Made>(Made{std::move(*memory), {bytes, values}});
  std::shared_ptr<shm::StatusZone> zone(made, &made->zone);
  kept = zone;
  return zone;
}

void StatusZones::ForgetWorker(int slot) {
  for (const auto& [key, kept] : kept_) {
    if (const auto zone = kept.lock()) zone->ForgetWorker(slot);
  }
}

}  // namespace limpet::master
