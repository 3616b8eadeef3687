// One session zone as the master keeps it: the table, when it is collected next, what its fill
// level was.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "conf/config.h"
#include "shm/counters.h"
#include "shm/fill_level.h"
#include "shm/late_sessions.h"
#include "shm/peer_sweep.h"
#include "shm/session_zone.h"

namespace limpet::master {

class SessionStore {
 public:
  // Finds the zone's memory again (after a crash, or in another size), its snapshot, or begins
  // anew; says which. `home`: a pid file, which only one limpet can hold, and which tells the
  // shared memory of limpets apart.
  static Result<std::unique_ptr<SessionStore>> Open(const std::string& home,
                                                    const conf::Config& config,
                                                    const conf::SessionZone& zone, const Log& log);

  // Before Reconfigure: gets what memory that will need, and changes nothing. Given back by
  // Unprepare.
  Status Prepare(const conf::Config& config, const conf::SessionZone& zone);
  void Unprepare() { reserved_.reset(); }

  // Under a new configuration, or after another limpet has worked with the zone: the same memory if
  // it is in place and the size is the same, else its sessions move over to one that is.
  // `why`: the snapshot is newer than the memory here only after another limpet has written it.
  enum class Why : uint8_t { kReload, kOtherHasGone };
  Status Reconfigure(const conf::Config& config, const conf::SessionZone& zone, Why why,
                     const Log& log);

  // Servers that stay keep their sessions, whatever their order; those of servers that are gone are
  // bound to others as they come. `complete`: these are all; else none is known to be gone.
  void SetServers(const std::vector<std::string>& server_ids, bool complete);

  // Collects or sweeps one step and looks at the fill level, if due; what is logged of that is an
  // alert, too.
  void Tick(uint64_t now_ms, const Log& log, shm::Counters& shared);
  uint64_t NextDeadline() const { return std::min({next_collect_, next_check_, NextNews()}); }

  // What processes of earlier configurations have told the zone's earlier sizes, from time to time;
  // also while another binary does the rest. BringNews: all of it, now.
  void TickNews(uint64_t now_ms) {
    if (now_ms >= NextNews()) HearEarlier(now_ms);
  }
  uint64_t NextNews() const { return late_.empty() ? UINT64_MAX : next_late_; }
  void BringNews() { late_.BringAll(table(), BootMs()); }

  // While it is in use; false: it could not be written, and that was said.
  bool Save(const Log& log);
  uint64_t Changes();              // another number whenever there is something new to save
  void SaveAtEnd(const Log& log);  // waits for locks, as does the next; others go on with it
  void SaveAndRemove(const Log& log);
  void Remove();  // with what was saved of it
  // Open() has made it for nothing: memory that it has not found is given back, what was saved
  // stays.
  void GiveBack();

  const std::string& home() const { return home_; }
  void MoveHome(const std::string& home, const Log& log);  // another pid file is held from now on
  const std::string& snapshot_path() const { return options_.snapshot_path; }
  std::string EarlierPath() const { return shm::SessionZone::EarlierName(options_.snapshot_path); }
  bool HasObject(const std::string& name) const {  // of shared memory
    return name == zone_.name() || name == zone_.EarlierName();
  }
  // The shared memory of all limpets that have had this home; without what was set aside.
  static std::vector<std::string> ObjectsOf(const std::string& home);
  // Of a zone that another limpet has left. False: somebody uses it still.
  static bool RemoveLeft(const std::string& home, const std::string& zone,
                         const std::string& snapshot_path);
  uint64_t moves() const { return moves_; }  // so often its table has become another one

  bool IsInPlace() const { return zone_.IsInPlace(); }  // see shm::SessionZone
  shm::SessionTable* table() { return &zone_.table(); }

 private:
  SessionStore(std::string home, shm::SessionZone zone, shm::SessionZone::Options options,
               const conf::SessionZone& conf);
  bool NeedsOther(const shm::SessionZone::Options& options) const;
  Status OpenOther(shm::SessionZone::Options options, Why why, const Log& log);
  using KeyKind = shm::LateSessions::Key;
  KeyKind KindOf(const shm::SessionTable& earlier, const SipKey& secret) const;
  void KeepDisplaced(const SipKey& secret, uint64_t now_ms, const Log& log);
  void KeepEarlier(uint64_t moved_ms);
  void HearEarlier(uint64_t now_ms);
  template <class Write>
  bool Written(Write write, const Log& log);
  template <class Write>
  Status WriteWithEarlier(Write write);
  bool CollectOrSweep();  // true: there is more
  void CheckHold(const Log& log);
  void CheckFill(uint64_t now_ms, const Log& log, shm::Counters& shared);
  void CheckTooLong(uint64_t now_ms, uint64_t too_long, const Log& log, shm::Counters& shared);
  void CheckPlaces(uint64_t now_ms, const Log& log, shm::Counters& shared);
  void CheckQuota(uint64_t now_ms, const shm::SessionCounters& counters, const Log& log,
                  shm::Counters& shared);

  std::string home_;
  shm::SessionZone zone_;
  std::optional<shm::SessionZone::Reserved> reserved_;
  uint64_t moves_ = 0;
  bool earlier_unread_ = false;  // see shm::SessionZone::Earlier
  bool told_unheld_ = false;
  std::vector<SipKey> store_keys_;  // of the configuration that was asked for last
  shm::LateSessions late_;          // of the zone's earlier sizes
  shm::SessionZone::Options options_;
  std::string name_;
  shm::FillLevel fill_;
  shm::PeerSweep sweep_;
  bool sweeping_ = false;  // what had expired is collected, the period's sweep has begun
  uint64_t gc_period_ms_;
  uint64_t next_collect_;  // both MonotonicMs
  uint64_t next_check_;
  uint64_t next_late_ = 0;
  uint64_t next_sample_ = 0;  // of the fill history
  size_t cookie_max_size_;
  uint64_t told_too_long_ = 0;  // of the counter
  uint64_t next_too_long_ = 0;  // when the next line may be written
  uint64_t told_quota_ = 0;     // of both counters
  uint64_t next_quota_ = 0;
  std::vector<std::string> without_place_;  // servers that the table's list has no room for
  uint64_t next_without_place_ = 0;
};

}  // namespace limpet::master
