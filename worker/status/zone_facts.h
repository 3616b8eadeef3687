// Status zones as pages show them.
#pragma once

#include <string>
#include <vector>

#include "conf/status_zone.h"
#include "shm/status_zone.h"
#include "worker/status/json_parts.h"
#include "worker/status/metrics_text.h"

namespace limpet::worker {

// One name of a zone.
struct StatusZoneFacts {
  std::string name;
  bool tls = false;
  shm::ZoneSums sums;

  // By code; those that are not told apart are "xxx".
  std::vector<std::pair<std::string, uint64_t>> Codes() const;
};
// All of a kind: each zone under its own name, and behind it the values that have been met. What
// has one name is one.
std::vector<StatusZoneFacts> ZonesOf(const StatusSource& source, conf::StatusZoneKind kind);

Json ZonesTree(const StatusSource& source, conf::StatusZoneKind kind);
void AddStatusZones(const StatusSource& source, MetricsText& page);

}  // namespace limpet::worker
