// The memory of status zones: see shm/status_zone.h. It is a zone's for as long as a generation has
// it with as many values, so that counts go on over reloads. Owned by the master.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/result.h"
#include "conf/status_zone.h"
#include "shm/status_zone.h"

namespace limpet::master {

class StatusZones {
 public:
  Result<std::shared_ptr<shm::StatusZone>> Find(const conf::StatusZone& wanted);

  void ForgetWorker(int slot);  // nothing is under way in it any more

 private:
  struct Kept {
    uint32_t values = 0;
    std::weak_ptr<shm::StatusZone> zone;
  };
  std::map<std::pair<conf::StatusZoneKind, std::string>, Kept> kept_;
};

}  // namespace limpet::master
