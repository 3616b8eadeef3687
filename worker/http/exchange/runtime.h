// What all exchanges of a worker share. Built once when the worker starts; constant but for the
// objects it points to. A vector "to X" is parallel to X: its entries belong to those of X.
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/log.h"
#include "conf/config.h"
#include "proto/http1/response_parser.h"
#include "shm/counters.h"
#include "worker/http/exchange/steps.h"
#include "worker/http/exchange/zone_counts.h"
#include "worker/http/proxy/proxy_plan.h"
#include "worker/http/proxy/url_groups.h"
#include "worker/net/buffer.h"
#include "worker/net/loop.h"
#include "worker/net/spares.h"
#include "worker/net/splice_pipe.h"
#include "worker/tls/certificate_end.h"
#include "worker/tls/client_contexts.h"
#include "worker/tls/handshake_certificates.h"
#include "worker/tls/session_memory.h"
#include "worker/upstream/resolver.h"

namespace limpet::shm {
class LimitReqTable;
class LimitConnTable;
class SessionTable;
class StoreState;
struct StatusMemory;
struct WorkerPulses;
}  // namespace limpet::shm

namespace limpet::worker {

class AccessLogs;
class GeoReaders;
class ServerNames;
class TokenReader;

struct Runtime {
  const conf::Config& config;
  const conf::Http& http;
  Loop& loop;
  BlockPool& blocks;
  SplicePipes& pipes;
  std::vector<Log>& logs;   // to Config::error_logs
  shm::Counters& counters;  // all workers'
  shm::WorkerCounters& own_counters;
  const TlsClientContexts* upstream_tls = nullptr;  // null: nothing is proxied
  // Whether any of the logs shows states: asked at each change of one.
  const bool logs_debug = std::any_of(logs.begin(), logs.end(),
                                      [](const Log& log) { return log.Enabled(LogLevel::kDebug); });
  TlsSessionMemory upstream_sessions;  // outlives the connections kept in upstreams
  HandshakeCertificates certificates{config.folder()};
  std::vector<std::unique_ptr<ServerNames>> names;          // to Http::listens
  std::vector<std::unique_ptr<UpstreamRuntime>> upstreams;  // to Http::upstreams
  std::vector<shm::SessionTable*> sessions;                 // to Http::session_zones
  std::vector<shm::StoreState*> stores;                     // the same; null: they have none
  std::vector<shm::LimitReqTable*> limit_req;               // to Http::limit_req_zones
  std::vector<shm::LimitConnTable*> limit_conn;             // to Http::limit_conn_zones
  const shm::WorkerPulses* pulses = nullptr;                // all workers'; null: not known
  shm::StatusMemory* status = nullptr;   // all workers'; null: nothing is counted
  std::vector<uint32_t> traffic_places;  // in its traffic, to Http::upstreams
  ZoneCounts zones{};
  std::span<const CertificateEnd> certificate_ends;  // of servers
  GeoReaders* geo = nullptr;                         // of Http::geo; null: there are none
  TokenReader* tokens = nullptr;                     // of Http::tokens; null: there are none
  std::unique_ptr<AccessLogs> access_logs;
  LocationSteps steps{http};
  ProxyPlans proxy_plans{http};  // of the locations that proxy
  bool stopping = false;         // graceful stop: no connection is kept after its response
  uint64_t generation = 1;
  int slot = 0;

  // $connection, within the worker.
  uint64_t next_connection_number() { return ++connections_made; }
  uint64_t connections_made = 0;

  Spares<proto::ResponseParser> response_parsers;  // who waits for an answer needs none

  // Of a proxy_pass with variables.
  UrlGroups url_groups{loop, slot};
  std::unordered_map<const conf::Resolver*, std::unique_ptr<Resolver>> resolvers;

  // Wall time in the forms that heads and logs need, rendered at most once a second.
  std::string_view HttpDate();
  std::string_view LogTime();  // access log
  std::string_view Iso8601();
  int64_t WallSeconds();

  ~Runtime();

  struct TimeText {
    uint64_t checked_ms = 0;
    int64_t seconds = -1;
    std::string http, log, iso;
  } time_text;

 private:
  void RefreshTime();
};

}  // namespace limpet::worker
