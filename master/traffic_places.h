// Which upstream counts its requests where in shm::Traffic. A place is an upstream's for as long as
// a generation holds it; then it is cleared, and another may have it. Owned by the master.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "conf/upstream.h"
#include "shm/traffic.h"

namespace limpet::master {

struct HeldPlace {
  uint32_t index = shm::Traffic::kOthers;
};
using TrafficPlace = std::shared_ptr<const HeldPlace>;

// What has been counted under a name; "": of those without a place.
struct NamedTraffic {
  std::string name;
  shm::TrafficSums sums;
};

class TrafficPlaces {
 public:
  explicit TrafficPlaces(shm::Traffic& traffic);

  // From binary to binary: counts go on. Before any worker begins.
  std::vector<NamedTraffic> Counted() const;
  void GoOnFrom(const std::vector<NamedTraffic>& counted);

  // The place of an upstream, over reloads. Where none is left it is that of all others.
  TrafficPlace Find(const conf::Upstream& upstream);

  void ForgetWorker(int slot);  // nothing waits in it any more

  // About once a second: how many requests and faults there were, every 20 seconds.
  void Tick(uint64_t now_ms, uint64_t requests);

 private:
  TrafficPlace PlaceOf(const std::string& key);
  void Collect();
  uint64_t Faults() const;

  shm::Traffic& traffic_;
  std::map<std::string, TrafficPlace> held_;  // by the upstream's name
  std::vector<uint32_t> free_;                // the next one last
  uint64_t sample_at_ms_ = 0, requests_ = 0, faults_ = 0;
};

}  // namespace limpet::master
