#include "conf/all_locations.h"

namespace limpet::conf {

std::vector<Location*> AllLocations(const Http& http) {
  std::vector<Location*> all;
  for (const auto& server : http.servers) {
    all.push_back(server->root.get());
    for (const auto& location : server->locations) all.push_back(location.get());
  }
  return all;
}

}  // namespace limpet::conf
