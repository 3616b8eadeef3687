#include "master/tls_session_zones.h"

#include <algorithm>

namespace limpet::master {

Result<std::vector<shm::TlsSessionTable*>> TlsSessionZones::Attach(const conf::Http& http) {
  std::vector<shm::TlsSessionTable*> tables;
  for (const conf::TlsSessionZone& zone : http.tls_session_zones) {
    auto& kept = zones_[zone.name];
    if (!kept || kept->memory.size() != zone.size) {
      auto memory = shm::Zone::Anonymous(zone.size);
      if (!memory) return memory.error();
      const shm::TlsSessionTable table(memory->data(), memory->size());
      kept = std::make_unique<Kept>(Kept{std::move(*memory), table});
    }
    tables.push_back(&kept->table);
  }
  return tables;
}

void TlsSessionZones::DropUnused(const conf::Http* http) {
  std::erase_if(zones_, [http](const auto& entry) {
    return http == nullptr || std::ranges::none_of(http->tls_session_zones, [&](const auto& zone) {
             return zone.name == entry.first;
           });
  });
}

}  // namespace limpet::master
