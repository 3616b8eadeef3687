// The data plane's entry point: what the master hands to a worker, and the function a forked child
// runs until it ends.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "conf/config.h"
#include "shm/counters.h"
#include "shm/peer_state.h"
#include "shm/resolved_peers.h"
#include "shm/session_table.h"
#include "shm/worker_pulse.h"

namespace limpet::shm {
class LimitReqTable;
class LimitConnTable;
class StatusZone;
class StoreState;
class TlsSessionTable;
struct StatusMemory;
}  // namespace limpet::shm

namespace limpet::worker {

class GeoStore;
class TokenStore;
struct TlsStore;

// All that a worker inherits by fork. Owned by the master's generation; lives as long as the worker
// process. Vectors are parallel to the configuration's: listen_fds to http->listens, logs to
// error_logs, and so on. No listen_fds: this address's connections come through the socket on every
// address of its port.
struct Environment {
  const conf::Config* config = nullptr;
  int slot = 0;    // of shm::Counters and of the session tables; unique among living workers
  int number = 0;  // 0 … worker_processes - 1 within its generation
  uint64_t generation = 1;  // counts successful loads
  uint64_t started_ms = 0;
  std::vector<std::vector<int>> listen_fds;
  std::vector<Log>* logs = nullptr;
  LogFiles* log_files = nullptr;
  std::vector<int> access_logs;                // open files, to http->access_log_files
  std::vector<shm::SessionTable*> sessions;    // to http->session_zones
  std::vector<shm::StoreState*> stores;        // the same; null: the zone has no store
  std::vector<shm::PeerStates*> peer_states;   // to http->upstreams; null: the worker makes its own
  std::vector<shm::LimitReqTable*> limit_req;  // to http->limit_req_zones
  std::vector<shm::LimitConnTable*> limit_conn;  // to http->limit_conn_zones
  shm::Counters* counters = nullptr;
  shm::WorkerPulses* pulses = nullptr;
  shm::StatusMemory* status = nullptr;         // null: nothing is counted there
  std::vector<uint32_t> traffic_places;        // in its traffic, to http->upstreams
  std::vector<shm::StatusZone*> status_zones;  // to http->status_zones
  void (*set_title)(std::string_view title) = [](std::string_view) {};  // what ps shows
  const TlsStore* tls = nullptr;
  const GeoStore* geo = nullptr;                 // null: there are no databases of addresses
  const TokenStore* tokens = nullptr;            // null: no token is read
  std::function<void()> stop_listening = [] {};  // closes listen_fds, when no more are accepted
};

// Reads certificates and keys, with the rights of the caller; an error names the file.
// `before`: what the last load gave, or null.
Result<std::shared_ptr<const TlsStore>> LoadTls(const conf::Config& config, const TlsStore* before);
std::vector<std::string> TlsWarnings(const TlsStore& store);  // of that load
// Once, before the first worker: the memory of shared session caches, to http->tls_session_zones.
Status ShareTlsSessions(const TlsStore& store, const std::vector<shm::TlsSessionTable*>& tables);

// The same of databases of addresses (geoip2).
Result<std::shared_ptr<const GeoStore>> LoadGeo(const conf::Config& config, const GeoStore* before);
// Of keys of tokens (jwt_claim); null if there are none.
Result<std::shared_ptr<const TokenStore>> LoadTokens(const conf::Config& config,
                                                     const TokenStore* before);

// Serves until told to stop, by the signals the master forwards: TERM or INT ends at once, QUIT
// ends when the requests in flight have ended (or worker_shutdown_timeout has passed), USR1 reopens
// the logs. Returns the exit status. Call in the child, with the signals above blocked; privileges
// have been dropped already. Without a master (master_process off) HUP ends it as QUIT does, and
// the caller may load the configuration and call again.
int Run(const Environment& environment);
inline constexpr int kReconfigure = -1;  // what it returns then

// What names an upstream's peers in shared peer states, in the order workers want them; the names
// that give it more of them; and its servers' ids as session tables hold them. The master prepares
// shared memory with them. `states`: for what names have given so far; null: nothing.
std::vector<std::string> PeerIdentities(const conf::Upstream& upstream);
std::vector<shm::ServerName> ResolvedNames(const conf::Upstream& upstream);
std::vector<std::string> ServerIds(const conf::Upstream& upstream, shm::PeerStates* states);

}  // namespace limpet::worker
