#include "master/limit_zones.h"

#include <fmt/format.h>

#include <set>

namespace limpet::master {
namespace {

template <class ConfZone>
std::set<std::string> Names(const std::vector<ConfZone>& zones) {
  std::set<std::string> names;
  for (const ConfZone& zone : zones) names.insert(zone.name);
  return names;
}

}  // namespace

template <class Table, class ConfZone>
Result<Table*> LimitZones::Find(ByName<Table>* zones, const ConfZone& conf,
                                std::string_view directive) {
  auto& kept = (*zones)[conf.name];
  if (kept && kept->key != conf.key.source()) {
    return InvalidArgument(
        fmt::format("{} \"{}\" uses the \"{}\" key while previously it used the \"{}\" key",
                    directive, conf.name, conf.key.source(), kept->key));
  }
  if (!kept || kept->memory.size() != conf.size) {
    auto memory = shm::Zone::Anonymous(conf.size);
    if (!memory) return memory.error();
    Table table(memory->data(), memory->size());
    kept = std::make_unique<Kept<Table>>(Kept<Table>{std::move(*memory), table, conf.key.source()});
  }
  return &kept->table;
}

Status LimitZones::Attach(const conf::Http& http, std::vector<shm::LimitReqTable*>* requests,
                          std::vector<shm::LimitConnTable*>* connections) {
  for (const conf::LimitReqZone& zone : http.limit_req_zones) {
    auto table = Find(&requests_, zone, "limit_req");
    if (!table) return table.error();
    requests->push_back(*table);
  }
  for (const conf::LimitConnZone& zone : http.limit_conn_zones) {
    auto table = Find(&connections_, zone, "limit_conn_zone");
    if (!table) return table.error();
    connections->push_back(*table);
  }
  return {};
}

void LimitZones::DropUnused(const conf::Http* http) {
  const auto requests = http != nullptr ? Names(http->limit_req_zones) : std::set<std::string>();
  const auto connections =
      http != nullptr ? Names(http->limit_conn_zones) : std::set<std::string>();
  std::erase_if(requests_, [&](const auto& entry) { return !requests.contains(entry.first); });
  std::erase_if(connections_,
                [&](const auto& entry) { return !connections.contains(entry.first); });
}

void LimitZones::ForgetWorker(int slot) {
  for (auto& [name, kept] : connections_) {
    if (kept) kept->table.ForgetWorker(slot);
  }
}

}  // namespace limpet::master
