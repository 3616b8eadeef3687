// Everything in shared memory, across generations: the session zones that a reload finds again,
// peer states, counters. Owned by the master; workers inherit the mappings. What runs out of date
// is collected here, in short steps.
//
// The master waits for no lock (shm::LockPatience). What is done now and then is left for the next
// time where a lock is kept; what has to be done throws shm::LockBusy or says so, and is done
// again.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "conf/config.h"
#include "master/inheritance.h"
#include "master/kept_zones.h"
#include "master/limit_zones.h"
#include "master/session_store.h"
#include "master/status_zones.h"
#include "master/traffic_places.h"
#include "shm/counters.h"
#include "shm/peer_book.h"
#include "shm/peer_state_registry.h"
#include "shm/session_quota.h"
#include "shm/status_memory.h"
#include "shm/store_state.h"
#include "shm/tls_session_table.h"
#include "shm/worker_pulse.h"
#include "shm/zone.h"

namespace limpet::master {

class SharedMemory {
 public:
  // What one generation uses; vectors are parallel to the configuration's.
  struct View {
    std::vector<shm::SessionTable*> sessions;
    std::vector<shm::StoreState*> stores;  // of those zones; null: they have none
    // Null without `zone` in the upstream.
    std::vector<std::unique_ptr<shm::PeerStates>> peer_states;
    std::vector<TrafficPlace> traffic;  // of all upstreams
    std::vector<std::shared_ptr<shm::StatusZone>> status_zones;
    std::vector<shm::LimitReqTable*> limit_req;
    std::vector<shm::LimitConnTable*> limit_conn;
    std::vector<shm::TlsSessionTable*> tls_sessions;
    // Of session tables: what their lists of servers have been made from, and when to look again;
    // nothing: names give no server that learns sessions.
    uint64_t names_version = 0;
    std::optional<uint64_t> names_deadline;
  };

  static Result<std::unique_ptr<SharedMemory>> Create();

  // What the old binary has left: zones, which the next Attach takes over as far as they fit, and
  // sums of counters. Before there are workers.
  void Inherit(std::string_view notes);
  // For the binary that is about to be started beside this one. May throw shm::LockBusy.
  Bequest Bequeath();
  // The other binary has gone, with all that its workers counted as theirs. May throw as above.
  void ForgetOthers();

  // Finds or makes what the configuration names. Zones of earlier generations that it no longer
  // names are given back by DropUnused, once it serves. May throw as above. Where it is not to
  // serve, by an error of this or a later one: TakeBack(), and if that is true Reclaim() what
  // serves on.
  Result<View> Attach(const conf::Config& config, const Log& log);
  void DropUnused(const conf::Config& config);
  [[nodiscard]] bool TakeBack();

  // Servers that names have given are entered in the session tables by the workers; those that have
  // gone are retired here, from time to time, so that churning names do not fill the tables' lists.
  void FollowNames(const conf::Config& config, View& view, uint64_t now_ms);

  // One bounded step of whatever is due. A deadline in the past means that there is more to do at
  // once.
  void Tick(uint64_t now_ms, const Log& log);
  std::optional<uint64_t> NextDeadline() const;
  // Of that only what workers of earlier configurations have told of sessions: another binary,
  // which does the rest, knows nothing of it.
  void TickNews(uint64_t now_ms);
  std::optional<uint64_t> NextNews() const;

  // Its gauges and connections are none. False: a lock is kept; to be called again before the slot
  // is used.
  [[nodiscard]] bool ForgetWorker(int slot);
  bool Save(const Log& log);           // of sessions, while they are in use; false: not all
  uint64_t SessionChanges();           // another number whenever there is something new to save
  void SaveAndRemove(const Log& log);  // a clean stop, after the last worker
  // Another master goes on with the same memory: nothing is removed, but session zones that the old
  // binary does not have if it is that one (`back`). What is in them is saved.
  void Leave(bool back, const Log& log);
  // Session zones that the old binary has had and this one has not, once it has gone; and once
  // this is the one limpet that holds the pid file, what others have left that held it and were
  // killed. Where somebody still uses one: later, by RemoveLeft.
  void RemoveUnowned(const std::string& pid_path, const Log& log);
  void RemoveLeft(const Log& log);
  // From now on this limpet holds another pid file: its session zones are found by that.
  void MoveHome(const std::string& pid_path, const Log& log);

  // After a binary or a configuration that was tried: the zones follow this one again. May throw as
  // above.
  void Reclaim(const conf::Config& config, View& view, const Log& log);
  // Whether a session zone is no longer what stands under its name. Workers that have it go on with
  // it, and others are needed after Reclaim.
  bool IsDisplaced() const;
  void NoteMovesServed() { moves_served_ = Moves(); }
  // Whether session zones have been moved since a configuration came into service: its workers have
  // them as they were.
  bool HasMoved() const { return Moves() != moves_served_; }

  shm::Counters* counters() { return &figures_->counters; }
  shm::WorkerPulses* pulses() { return &figures_->pulses; }
  void SampleTraffic(uint64_t now_ms);  // about once a second
  // No page of it is touched before it is used.
  shm::StatusMemory* status() { return reinterpret_cast<shm::StatusMemory*>(status_zone_.data()); }

 private:
  std::optional<uint64_t> NextOf(uint64_t (SessionStore::*deadline)() const) const;
  void BringNews();  // may throw as Bequeath
  void SetServers(const conf::Config& config, const View& view);
  using Quotas = std::vector<shm::SessionQuota*>;  // of session zones; null: unbounded
  Result<Quotas> FindQuotas(const conf::Http& http, Inheritance* inherited, const Log& log);
  Status MoveSessions(const conf::Config& config, const Quotas& quotas, SessionStore::Why why,
                      const Log& log, View* view);
  const std::string& HomeOf(const conf::Config& config, const std::string& zone) const;
  uint64_t Moves() const;
  std::vector<LeftSessions> Leaves() const;
  bool IsLeft(const std::string& zone) const;
  void OpenBook(Inheritance* inherited, const Log& log);
  Status AttachKept(const conf::Http& http, Inheritance* inherited, const Log& log, View* view);
  Status AttachSessions(const conf::Config& config, const Log& log, View* view);
  Status AttachPeers(const conf::Http& http, View* view);
  struct Figures {
    shm::Counters counters;
    shm::WorkerPulses pulses;
  };
  SharedMemory(shm::Zone figures, shm::Zone status_zone);

  shm::Zone figures_zone_;
  Figures* figures_;
  shm::Zone status_zone_;
  TrafficPlaces traffic_;
  StatusZones status_zones_;
  KeptZones<shm::PeerBook> books_{"upstream zone"};  // one, once an upstream has a zone
  shm::PeerBook* book_ = nullptr;
  shm::PeerStateRegistry peer_states_;
  std::map<std::string, std::unique_ptr<SessionStore>> sessions_;  // by zone name
  std::vector<std::string> new_sessions_;  // of a configuration that does not serve yet
  std::optional<std::vector<LeftSessions>> left_sessions_;  // see Inheritance
  std::vector<std::string> unowned_;                        // names of shared memory objects
  uint64_t moves_served_ = 0;
  LimitZones limits_;
  KeptZones<shm::StoreMemory> stores_{"session_store"};        // by the names of session zones
  KeptZones<shm::SessionQuota> quotas_{"sticky learn quota"};  // and these
  KeptZones<shm::TlsSessionTable> tls_sessions_{"ssl_session_cache"};
  std::optional<Inheritance> inherited_;            // until the first Attach is done
  int32_t first_slot_ = 0;                          // of our workers; see shm/limit_conn_table.h
  int32_t next_first_slot_ = shm::kMaxWorkerSlots;  // of the binary that we start next
  bool attaching_ = false;                          // a configuration that does not serve yet
  bool left_ = false;
};

}  // namespace limpet::master
