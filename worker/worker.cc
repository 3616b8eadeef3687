#include "worker/worker.h"

#include <algorithm>
#include <csignal>
#include <memory>
#include <optional>
#include <vector>

#include "shm/status_memory.h"
#include "worker/accept_share.h"
#include "worker/acceptor.h"
#include "worker/geo/geo_readers.h"
#include "worker/health/watch.h"
#include "worker/heartbeat.h"
#include "worker/http/client/connection_set.h"
#include "worker/http/log/access_log.h"
#include "worker/http/proxy/upstream_lookup.h"
#include "worker/http/proxy/upstream_runtime.h"
#include "worker/http/route/server_names.h"
#include "worker/memory_return.h"
#include "worker/net/loop.h"
#include "worker/stapler.h"
#include "worker/store/shared_zone.h"
#include "worker/token/token_reader.h"

namespace limpet::worker {
namespace {

constexpr uint64_t kLookEveryMs = 2;     // at workers that are still to stop accepting
constexpr uint64_t kPatienceMs = 1'000;  // with them: the master tells them after a tenth of it

// One worker process: everything it owns, in the order it must go.
class Worker {
 public:
  explicit Worker(const Environment& environment);
  int Run();

 private:
  void MakeGeo();
  void MakeTokens();
  void MakeSharedZones();
  void MakeUpstreams();
  void MakeAcceptors();
  void MakeWatch();
  GroupWatch::Sessions WatchedSessions(const conf::Upstream& conf) const;
  void Accept();
  void AcceptInTurn();
  bool KnowsNames() const;
  bool KnowsStores() const;
  shm::WorkerPulse& pulse() {
    return environment_.pulses->slots[static_cast<size_t>(environment_.slot)];
  }
  void OnQuit();
  void BeginEnd();
  void TellStores();
  void OnHangup();
  void OnTerminate();
  void OnReopen();
  void OnShutdownTimeout();

  const Environment& environment_;
  Loop loop_;
  BlockPool blocks_;
  SplicePipes pipes_;
  // To Http::session_zones; null: of this machine only. Upstreams use them as long as they live.
  std::vector<std::unique_ptr<SharedZone>> shared_zones_;
  std::unique_ptr<GeoReaders> geo_;
  std::unique_ptr<TokenReader> tokens_;
  Runtime runtime_;
  ConnectionSet connections_;
  std::unique_ptr<TlsContexts> tls_;
  AcceptShare share_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  std::unique_ptr<Watch> watch_;
  Stapler stapler_;
  Heartbeat heartbeat_;
  MemoryReturn memory_return_;
  Timer turn_timer_;
  uint64_t waiting_since_ms_ = 0;
  size_t told_ = 0;  // shared zones that have told their stores all
  Timer shutdown_timer_;
  SignalWatch quit_, terminate_, interrupt_, reopen_;
  std::optional<SignalWatch> hangup_;  // without a master
  bool reconfigures_ = false;
};

const conf::Http& HttpOf(const Environment& environment) {
  static const conf::Http empty;
  return environment.config->http != nullptr ? *environment.config->http : empty;
}

Worker::Worker(const Environment& environment)
    : environment_(environment),
      runtime_{.config = *environment.config,
               .http = HttpOf(environment),
               .loop = loop_,
               .blocks = blocks_,
               .pipes = pipes_,
               .logs = *environment.logs,
               .counters = *environment.counters,
               .own_counters = environment.counters->slots[static_cast<size_t>(environment.slot)],
               .sessions = environment.sessions,
               .stores = environment.stores,
               .limit_req = environment.limit_req,
               .limit_conn = environment.limit_conn,
               .pulses = environment.pulses,
               .status = environment.status,
               .traffic_places = environment.traffic_places,
               .zones = {HttpOf(environment), environment.status_zones, environment.slot},
               .certificate_ends = environment.tls->certificates,
               .generation = environment.generation,
               .slot = environment.slot},
      connections_(runtime_),
      share_({.counters = environment.counters,
              .pulses = environment.pulses,
              .slot = environment.slot,
              .generation = environment.generation}),
      stapler_(runtime_, *environment.tls),
      heartbeat_(loop_, pulse(), *environment.config),
      memory_return_(loop_, blocks_, connections_),
      turn_timer_(loop_, Callback::To<&Worker::AcceptInTurn>(this)),
      shutdown_timer_(loop_, Callback::To<&Worker::OnShutdownTimeout>(this)),
      quit_(loop_, SIGQUIT, Callback::To<&Worker::OnQuit>(this)),
      terminate_(loop_, SIGTERM, Callback::To<&Worker::OnTerminate>(this)),
      interrupt_(loop_, SIGINT, Callback::To<&Worker::OnTerminate>(this)),
      reopen_(loop_, SIGUSR1, Callback::To<&Worker::OnReopen>(this)) {
  runtime_.own_counters.pid = ::getpid();
  loop_.places().Limit(static_cast<size_t>(runtime_.config.worker_connections), runtime_.logs[0]);
  for (const conf::ListenGroup& group : runtime_.http.listens) {
    runtime_.names.push_back(std::make_unique<ServerNames>(group));
  }
  runtime_.access_logs =
      std::make_unique<AccessLogs>(runtime_.http, loop_, runtime_.logs[0], environment.access_logs);
  runtime_.upstream_tls = environment.tls->clients.get();
  MakeGeo();
  MakeTokens();
  MakeSharedZones();
  MakeUpstreams();
  tls_ = std::make_unique<TlsContexts>(runtime_, environment.tls->servers);
  MakeAcceptors();
}

void Worker::MakeGeo() {
  if (environment_.geo == nullptr || runtime_.http.geo.databases.empty()) return;
  geo_ = std::make_unique<GeoReaders>(loop_, runtime_.http.geo, *environment_.geo, runtime_.logs[0],
                                      runtime_.counters.alerts);
  runtime_.geo = geo_.get();
}

void Worker::MakeTokens() {
  if (environment_.tokens == nullptr) return;
  tokens_ = std::make_unique<TokenReader>(runtime_.http.tokens, *environment_.tokens);
  runtime_.tokens = tokens_.get();
}

void Worker::MakeSharedZones() {
  for (size_t i = 0; i < environment_.sessions.size(); ++i) {
    auto& shared = shared_zones_.emplace_back();
    shm::SessionTable* const table = environment_.sessions[i];
    if (table == nullptr) continue;
    table->AttachWorker(environment_.slot);
    const conf::SessionZone& zone = runtime_.http.session_zones[i];
    if (zone.store < 0 || environment_.stores[i] == nullptr) continue;
    const conf::SessionStore& store = runtime_.http.session_stores[static_cast<size_t>(zone.store)];
    shared = std::make_unique<SharedZone>(
        StoreZone::Env{.link = {.loop = loop_,
                                .conf = store,
                                .tls = store.tls.on ? runtime_.upstream_tls->For(store) : nullptr,
                                .resolver = FindResolver(runtime_, store.resolver.get())},
                       .zone = zone,
                       .sessions = *table,
                       .state = *environment_.stores[i],
                       .log = runtime_.logs[0],
                       .alerts = runtime_.counters.alerts});
  }
}

void Worker::MakeUpstreams() {
  shm::Traffic* const traffic =
      environment_.status != nullptr ? &environment_.status->traffic : nullptr;
  if (traffic != nullptr) {
    traffic->Use(environment_.slot);
    runtime_.url_groups.set_traffic(&traffic->Line(environment_.slot, shm::Traffic::kOthers));
  }
  for (size_t i = 0; i < runtime_.http.upstreams.size(); ++i) {
    const conf::Upstream& conf = *runtime_.http.upstreams[i];
    shm::PeerStates* states =
        i < environment_.peer_states.size() ? environment_.peer_states[i] : nullptr;
    const int zone = conf.sticky.kind == conf::StickyKind::kLearn ? conf.sticky.learn.zone : -1;
    const auto at = static_cast<size_t>(zone);
    StickySessions sessions;
    if (zone >= 0 && at < environment_.sessions.size()) {
      SharedZone* const shared = shared_zones_[at].get();
      sessions = {.zone = &runtime_.http.session_zones[at],
                  .table = environment_.sessions[at],
                  .store = shared != nullptr ? &shared->client() : nullptr};
    }
    runtime_.upstreams.push_back(
        std::make_unique<UpstreamRuntime>(loop_, conf, states, environment_.slot, sessions));
    if (traffic != nullptr) {
      runtime_.upstreams.back()->traffic =
          &traffic->Line(environment_.slot, environment_.traffic_places[i]);
    }
    if (states == nullptr || states->resolved() == nullptr) continue;
    runtime_.upstreams.back()->names = std::make_unique<NameWatch>(
        loop_, conf, *states, *FindResolver(runtime_, conf.resolver.get()), runtime_.logs[0]);
  }
}

void Worker::MakeWatch() {
  const GroupCheck::Env env{
      .loop = loop_,
      .http = runtime_.http,
      .tls = runtime_.upstream_tls,
      .logs = runtime_.logs,
      .alerts = runtime_.counters.alerts,
      .notes = environment_.status != nullptr ? &environment_.status->notes : nullptr,
      .generation = environment_.generation};
  const bool alone = !runtime_.config.master_process || runtime_.config.worker_processes == 1;
  std::vector<std::unique_ptr<GroupWatch>> groups;
  for (size_t i = 0; i < runtime_.upstreams.size(); ++i) {
    const conf::Upstream& conf = *runtime_.http.upstreams[i];
    const shm::PeerStates* states =
        i < environment_.peer_states.size() ? environment_.peer_states[i] : nullptr;
    if (conf.implicit || (states == nullptr && !alone)) continue;
    groups.push_back(std::make_unique<GroupWatch>(env, runtime_.upstreams[i]->group, states,
                                                  WatchedSessions(conf)));
  }
  watch_ = std::make_unique<Watch>(loop_, std::move(groups));
}

GroupWatch::Sessions Worker::WatchedSessions(const conf::Upstream& conf) const {
  if (conf.sticky.kind != conf::StickyKind::kLearn) return {};
  const auto zone = static_cast<size_t>(conf.sticky.learn.zone);
  SharedZone* const shared = shared_zones_[zone].get();
  return {.zone = &runtime_.http.session_zones[zone],
          .table = environment_.sessions[zone],
          .shared = shared != nullptr ? environment_.stores[zone] : nullptr,
          .store = shared != nullptr ? &shared->client() : nullptr};
}

void Worker::MakeAcceptors() {
  for (size_t i = 0; i < runtime_.http.listens.size(); ++i) {
    const conf::ListenGroup& group = runtime_.http.listens[i];
    AcceptShare* const share = group.listen.reuseport ? nullptr : &share_;
    for (const int fd : environment_.listen_fds[i]) {
      acceptors_.push_back(
          std::make_unique<Acceptor>(runtime_, connections_, group, *tls_, fd, share));
    }
  }
}

int Worker::Run() {
  sigset_t ours;
  sigemptyset(&ours);
  for (const int number :
       {SIGQUIT, SIGTERM, SIGINT, SIGUSR1, SIGHUP, SIGCHLD, SIGUSR2, SIGWINCH, SIGALRM})
    sigaddset(&ours, number);
  if (environment_.config->master_process) {
    std::signal(SIGHUP, SIG_IGN);
  } else {
    hangup_.emplace(loop_, SIGHUP, Callback::To<&Worker::OnHangup>(this));
  }
  std::signal(SIGUSR2, SIG_IGN);
  std::signal(SIGWINCH, SIG_IGN);
  sigset_t before;
  ::sigprocmask(SIG_UNBLOCK, &ours, &before);
  heartbeat_.Start();
  memory_return_.Start();
  waiting_since_ms_ = loop_.NowMs();
  for (const auto& zone : shared_zones_) {
    if (zone != nullptr) zone->Start();
  }
  AcceptInTurn();
  MakeWatch();
  stapler_.Start();
  if (geo_ != nullptr) geo_->Start();
  loop_.Run();
  acceptors_.clear();
  watch_.reset();
  connections_.CloseAll();
  for (const auto& zone : shared_zones_) {
    if (zone != nullptr) zone->Stop();
  }
  loop_.RunDead();
  runtime_.access_logs->FlushAll();
  ::sigprocmask(SIG_SETMASK, &before, nullptr);  // later signals stay pending for the next
  return reconfigures_ ? kReconfigure : 0;
}

void Worker::Accept() {
  pulse().accepts_for.store(environment_.generation, std::memory_order_relaxed);
  for (const auto& acceptor : acceptors_) acceptor->Start();
}

// All names have peers, or had a chance in an earlier configuration.
bool Worker::KnowsNames() const {
  if (environment_.generation > 1) return true;
  return std::ranges::all_of(environment_.peer_states, [](shm::PeerStates* states) {
    return states == nullptr || states->AllNamesKnown();
  });
}

// Whether each is there. A session that only a store knows would else move.
bool Worker::KnowsStores() const {
  return std::ranges::all_of(
      shared_zones_, [](const auto& zone) { return zone == nullptr || zone->client().settled(); });
}

// After a reload, once the workers of the configuration before take no more connections: a session
// that is learned here at a server new to them would else come to one of them, which moves it.
// After a start, once stores have been reached and the names of servers have been answered:
// requests would fail, and sessions that are not known yet, or whose servers are not, would move.
// Connections wait in their sockets meanwhile.
void Worker::AcceptInTurn() {
  const uint64_t now = loop_.NowMs();
  const bool patient = now - waiting_since_ms_ < kPatienceMs;
  const bool ready = !share_.AnotherGenerationAccepts(now) && KnowsNames() && KnowsStores();
  if (!patient || ready) return Accept();
  turn_timer_.Arm(kLookEveryMs);
}

// Clients are refused from now on: who would be left waiting in our sockets had better go to
// whoever takes this address over.
void Worker::OnQuit() {
  reconfigures_ = false;  // whatever was wanted before
  BeginEnd();
  environment_.stop_listening();
}

void Worker::BeginEnd() {
  if (runtime_.stopping) return;
  runtime_.stopping = true;
  LIMPET_LOG(runtime_.logs[0], LogLevel::kNotice, "gracefully shutting down");
  environment_.set_title("worker process is shutting down");
  turn_timer_.Disarm();
  pulse().accepts_for.store(0, std::memory_order_relaxed);
  for (const auto& acceptor : acceptors_) acceptor->Stop();
  if (watch_ != nullptr) watch_->Stop();
  stapler_.Stop();
  for (const auto& zone : shared_zones_) {
    if (zone != nullptr) zone->StopFollowing();
  }
  for (const auto& upstream : runtime_.upstreams) {
    upstream->pool.CloseAll();
    if (upstream->names != nullptr) upstream->names->Stop();
    if (upstream->sticky != nullptr) upstream->sticky->OnStopping();
  }
  if (const auto timeout = runtime_.config.worker_shutdown_timeout; timeout.count() > 0) {
    shutdown_timer_.Arm(timeout);
  }
  connections_.Drain([this] { TellStores(); });
}

// What the last requests have taught is told to other machines before the worker goes: one store
// after the other, each for a bounded time.
void Worker::TellStores() {
  for (; told_ < shared_zones_.size(); ++told_) {
    SharedZone* const zone = shared_zones_[told_].get();
    if (zone == nullptr) continue;
    ++told_;
    return zone->client().Finish(Callback::To<&Worker::TellStores>(this));
  }
  loop_.Stop();
}

void Worker::OnHangup() {
  if (runtime_.stopping) return;
  BeginEnd();
  reconfigures_ = true;
}

void Worker::OnShutdownTimeout() {
  for (const auto& acceptor : acceptors_) acceptor->CloseNow();
  connections_.CloseAll();
}

void Worker::OnTerminate() {
  reconfigures_ = false;
  loop_.Stop();
}

void Worker::OnReopen() {
  environment_.log_files->ReopenAll(runtime_.logs[0]);
  runtime_.access_logs->Reopen();
}

}  // namespace

std::vector<std::string> PeerIdentities(const conf::Upstream& upstream) {
  return UpstreamGroup::PeerIdentities(upstream);
}
std::vector<shm::ServerName> ResolvedNames(const conf::Upstream& upstream) {
  return UpstreamGroup::ServerNames(upstream);
}
std::vector<std::string> ServerIds(const conf::Upstream& upstream, shm::PeerStates* states) {
  return UpstreamGroup::ServerIds(upstream, states);
}

Result<std::shared_ptr<const TlsStore>> LoadTls(const conf::Config& config,
                                                const TlsStore* before) {
  return TlsStore::Load(config, before);
}

std::vector<std::string> TlsWarnings(const TlsStore& store) { return store.warnings; }

Status ShareTlsSessions(const TlsStore& store, const std::vector<shm::TlsSessionTable*>& tables) {
  return store.ShareSessions(tables);
}

Result<std::shared_ptr<const GeoStore>> LoadGeo(const conf::Config& config,
                                                const GeoStore* before) {
  static const conf::GeoSettings none;
  return GeoStore::Load(config.http != nullptr ? config.http->geo : none, before);
}

Result<std::shared_ptr<const TokenStore>> LoadTokens(const conf::Config& config,
                                                     const TokenStore* before) {
  static const conf::Tokens none;
  return TokenStore::Load(config.http != nullptr ? config.http->tokens : none, before);
}

int Run(const Environment& environment) {
  Worker worker(environment);
  return worker.Run();
}

}  // namespace limpet::worker
