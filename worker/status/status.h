// The pages limpet shows about itself, and the few things that can be changed through them. What is
// shown is read from the source at the time of the call; nothing here knows a connection or a
// configuration's directives, so that the master may call it with shared memory alone.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "shm/counters.h"
#include "shm/geo_state.h"
#include "shm/session_table.h"
#include "shm/status_memory.h"
#include "shm/store_state.h"
#include "shm/token_figures.h"
#include "shm/worker_pulse.h"
#include "worker/tls/certificate_end.h"
#include "worker/upstream/upstream_group.h"

namespace limpet::shm {
class LimitConnTable;
class LimitReqTable;
class StatusZone;
}  // namespace limpet::shm

namespace limpet::worker {

// Made for one request; points to what the process owns.
struct StatusSource {
  const conf::Http& http;
  const shm::Counters& counters;
  std::span<shm::SessionTable* const> sessions;  // to http.session_zones; an entry may be null
  std::span<shm::StoreState* const> stores;  // of those zones; null: they are of this machine only
  std::vector<UpstreamGroup*> upstreams;
  uint64_t generation = 1;
  uint64_t now_ms = 0;  // CLOCK_MONOTONIC
  int64_t master_pid = 0;
  bool may_write = false;                              // shown; ApiCall is what decides
  std::vector<const shm::GeoState*> geo{};             // to http.geo.databases, or empty
  const shm::TokenFigures* tokens = nullptr;           // null: no token is read
  const shm::WorkerPulses* pulses = nullptr;           // null: not known
  shm::StatusMemory* status = nullptr;                 // the same
  std::span<const uint32_t> traffic_places{};          // in its traffic, to http.upstreams
  std::span<shm::StatusZone* const> status_zones{};    // to http.status_zones
  std::span<shm::LimitReqTable* const> limit_req{};    // to http.limit_req_zones
  std::span<shm::LimitConnTable* const> limit_conn{};  // to http.limit_conn_zones
  std::span<const CertificateEnd> certificate_ends{};
  std::string server_address{};  // at which the request came in; "": by the command line
};

struct StatusReply {
  int status = 200;
  std::string json;
  std::string_view allow{};  // with 405: the methods that the resource knows
};

// What GET answers for a path below the prefix of `api`: "", "sessions", "upstreams/NAME"… One
// slash at the end is ignored. `args`: the query, as sent.
StatusReply ApiPage(const StatusSource& source, std::string_view path, std::string_view args = {});
StatusReply ApiError(int status, std::string_view text);

// The value of an argument of a query, decoded; nothing if it is not there.
std::optional<std::string> Argument(std::string_view args, std::string_view name);

// What `prometheus` answers: the text format, version 0.0.4.
std::string MetricsPage(const StatusSource& source);

}  // namespace limpet::worker
