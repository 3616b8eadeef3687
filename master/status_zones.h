// The memory of status zones: see shm/status_zone.h. It is a zone's for as long as a generation has
// it with as many values, so that counts go on over reloads; a reload with another count that fails
// takes nothing from those that serve. Owned by the master.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "base/result.h"
#include "conf/status_zone.h"
#include "shm/status_zone.h"

namespace limpet::master {

class StatusZones {
 public:
  Result<std::shared_ptr<shm::StatusZone>> Find(const conf::StatusZone& wanted);

  void ForgetWorker(int slot);  // nothing is under way in it any more

 private:
  using Key = std::tuple<conf::StatusZoneKind, std::string, uint32_t>;  // how many values
  std::map<Key, std::weak_ptr<shm::StatusZone>> kept_;
};

}  // namespace limpet::master
