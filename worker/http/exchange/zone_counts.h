// Where this worker counts what belongs to the status zones of the configuration
// (shm/status_zone.h): a line for each, and for each value of a zone that has some.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/text.h"
#include "conf/config.h"
#include "shm/status_zone.h"

namespace limpet::worker {

class ZoneCounts {
 public:
  ZoneCounts() = default;
  // `zones`: to Http::status_zones. Without them all is counted where nobody looks.
  ZoneCounts(const conf::Http& http, const std::vector<shm::StatusZone*>& zones, int slot);

  shm::ZoneLine& Own(int zone);
  // Of a value of 1 to kMaxName bytes; that of the zone itself where there is room for no more.
  shm::ZoneLine& Of(int zone, std::string_view value);
  void Count(int zone, size_t word) { Own(zone).Add(word); }
  bool any_requests() const { return any_requests_; }  // of servers or locations

  const std::vector<shm::StatusZone*>& zones() const { return zones_; }

 private:
  struct Values {
    std::unordered_map<std::string, shm::ZoneLine*, HashText, std::equal_to<>> lines;
    uint32_t read = 0;  // of the places that have been taken
  };

  std::vector<shm::StatusZone*> zones_;
  std::vector<Values> values_;  // to zones
  int slot_ = 0;
  bool any_requests_ = false;
  shm::ZoneLine unseen_{};
};

}  // namespace limpet::worker
