#include "worker/http/log/zone_requests.h"

#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/hooks.h"
#include "worker/http/exchange/zone_key.h"

namespace limpet::worker {
namespace {

static_assert(conf::StatusZone::kMaxName == shm::StatusZone::kMaxName);

using Count = shm::RequestCount;

void CountEnd(Exchange& exchange, shm::ZoneLine& line) {
  const Request& request = exchange.request();
  const int status = exchange.response().status;
  line.Add(Count::kReceived, request.head_length + request.body_received);
  const uint64_t sent = exchange.stream().bytes_sent();
  if (status == 0 || sent == 0) return line.Add(Count::kDiscarded);
  line.Add(Count::kSent, sent);
  line.Add(Count::kAnswered);
  if (status >= 100 && status <= 599) line.codes.Add(status);
}

// One that was refused before it was processed counts, too.
void EndInServer(Exchange& exchange) {
  const Request& request = exchange.request();
  const bool is_of_zone = request.server != nullptr && request.server->status_zone.zone >= 0;
  if (!request.zone_asked && is_of_zone) BeginInZoneStep(exchange);
  if (request.server_zone == nullptr) return;
  request.server_zone->Leave();
  CountEnd(exchange, *request.server_zone);
}

}  // namespace

shm::ZoneLine* ZoneLineOf(Exchange& exchange, const conf::StatusZoneUse& use) {
  ZoneCounts& zones = exchange.runtime().zones;
  if (!use.key) return &zones.Own(use.zone);
  const auto value = KeyOf(exchange, *use.key, shm::StatusZone::kMaxName, LogLevel::kWarn);
  return value ? &zones.Of(use.zone, *value) : nullptr;
}

Step BeginInZoneStep(Exchange& exchange) {
  Request& request = exchange.request();
  shm::ZoneLine* const line = ZoneLineOf(exchange, request.server->status_zone);
  request.zone_asked = true;
  request.server_zone = line;
  if (line == nullptr) return Step::kNext;
  line->Add(Count::kRequests);
  line->Add(Count::kProcessing);
  return Step::kNext;
}

void CountInZones(Exchange& exchange) {
  if (!exchange.runtime().zones.any_requests() || exchange.request().is_subrequest) return;
  EndInServer(exchange);
  const conf::StatusZoneUse& use = exchange.location().status_zone;
  if (use.zone < 0) return;
  shm::ZoneLine* const line = ZoneLineOf(exchange, use);
  if (line == nullptr) return;
  line->Add(Count::kRequests);
  CountEnd(exchange, *line);
}

}  // namespace limpet::worker
