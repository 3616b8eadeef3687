// Requests in the status zones of their server and location, and the line in which a connection
// counts its TLS handshake.
#pragma once

#include "worker/http/exchange/step.h"

namespace limpet::conf {
struct StatusZoneUse;
}
namespace limpet::shm {
struct ZoneLine;
}

namespace limpet::worker {

// The line of the name that the zone or its key says; null: the key has no value that counts.
shm::ZoneLine* ZoneLineOf(Exchange& exchange, const conf::StatusZoneUse& use);
// A request begins to be processed, by a server that has a zone.
Step BeginInZoneStep(Exchange& exchange);

}  // namespace limpet::worker
