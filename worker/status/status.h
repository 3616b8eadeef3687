// The pages limpet shows about itself. Pure: everything is read from the source, at the time of the
// call.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "shm/counters.h"
#include "shm/session_table.h"
#include "worker/upstream/upstream_group.h"

namespace limpet::worker {

// Made for one request; points to what the worker owns.
struct StatusSource {
  const conf::Http& http;
  const shm::Counters& counters;
  std::span<shm::SessionTable* const> sessions;  // to http.session_zones; an entry may be null
  std::vector<UpstreamGroup*> upstreams;
  uint64_t generation = 1;
  uint64_t now_ms = 0;  // CLOCK_MONOTONIC
};

struct StatusReply {
  int status = 200;
  std::string json;
};

// What `api` answers for a path below its prefix: "", "sessions", "upstreams/NAME"… One slash at
// the end is ignored.
StatusReply ApiPage(const StatusSource& source, std::string_view path);
StatusReply ApiError(int status, std::string_view message);

// What `prometheus` answers: the text format, version 0.0.4.
std::string MetricsPage(const StatusSource& source);

}  // namespace limpet::worker
