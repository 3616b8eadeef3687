// A walk over all that may hold the settings of a location.
#pragma once

#include <vector>

#include "conf/config.h"

namespace limpet::conf {

// Those of all servers in their order, each server's own level before what stands in it. Of a load
// that is not finished, too. They live as long as `http`.
std::vector<Location*> AllLocations(const Http& http);

}  // namespace limpet::conf
