// What all workers have counted of the requests of each upstream.
#pragma once

#include <string>
#include <vector>

#include "worker/status/status.h"

namespace limpet::worker {

struct UpstreamTraffic {
  std::string name;                      // "other": of upstreams without a place of their own
  const conf::Upstream* conf = nullptr;  // null: of those
  shm::TrafficSums sums;
};

// In the order of the configuration; those without a place come last, once there is one. Empty:
// nothing is counted.
std::vector<UpstreamTraffic> TrafficOf(const StatusSource& source);

// Of one upstream; all zero where it has no place of its own.
shm::TrafficSums TrafficOf(const StatusSource& source, const conf::Upstream& upstream);

}  // namespace limpet::worker
