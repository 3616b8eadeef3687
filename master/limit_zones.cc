#include "master/limit_zones.h"

namespace limpet::master {

Status LimitZones::Attach(const conf::Http& http, int32_t first_slot, Inheritance* inherited,
                          const Log& log, std::vector<shm::LimitReqTable*>* requests,
                          std::vector<shm::LimitConnTable*>* connections) {
  for (const conf::LimitReqZone& zone : http.limit_req_zones) {
    auto table = requests_.Find({zone.name, zone.size, zone.key.source()}, inherited, log);
    if (!table) return table.error();
    requests->push_back(*table);
  }
  for (const conf::LimitConnZone& zone : http.limit_conn_zones) {
    auto table = connections_.Find({zone.name, zone.size, zone.key.source()}, inherited, log);
    if (!table) return table.error();
    (*table)->SetFirstSlot(first_slot);
    connections->push_back(*table);
  }
  return {};
}

void LimitZones::TakeBack() {
  requests_.TakeBack();
  connections_.TakeBack();
}

void LimitZones::DropUnused(const conf::Http* http) {
  requests_.DropUnless(http == nullptr ? nullptr : &http->limit_req_zones);
  connections_.DropUnless(http == nullptr ? nullptr : &http->limit_conn_zones);
}

bool LimitZones::ForgetWorker(int slot) {
  bool done = true;
  connections_.ForEach(
      [&](shm::LimitConnTable& table) { done &= shm::IfFree([&] { table.ForgetWorker(slot); }); });
  return done;
}

void LimitZones::AdmitOthers() {
  connections_.ForEach([](shm::LimitConnTable& table) { table.AdmitOthers(); });
}

void LimitZones::KeepOnlyOwn() {
  connections_.ForEach([](shm::LimitConnTable& table) { table.KeepOnlyOwn(); });
}

void LimitZones::Bequeath(Bequest* bequest) const {
  requests_.Bequeath(bequest);
  connections_.Bequeath(bequest);
}

}  // namespace limpet::master
