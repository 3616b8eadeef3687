// The zone's side of a store: what its sessions are called there, and how what the store says comes
// into the zone. One per zone and worker; used by all that speak with the store.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/log.h"
#include "conf/session_store.h"
#include "conf/upstream.h"
#include "shm/alert_ring.h"
#include "shm/session_table.h"
#include "shm/store_state.h"
#include "worker/store/record.h"
#include "worker/store/rules.h"
#include "worker/store/store_link.h"

namespace limpet::worker {

class StoreZone {
 public:
  struct Env {
    StoreLink::Env link;
    const conf::SessionZone& zone;
    shm::SessionTable& sessions;
    shm::StoreState& state;
    const Log& log;
    shm::AlertRing& alerts;
  };
  explicit StoreZone(const Env& env) : env_(env) {}

  std::string KeyName(const StoreKey& key) const;
  std::string StreamName() const;
  std::string Probe() const;  // a command that only the server that has the zone's keys answers
  // How long a record lives there; 0: for ever. Longer than the timeout by what a deadline may be
  // late in being renewed.
  uint64_t LifeMs() const;
  // The shortest time between two renewals of a session's deadline; 0: deadlines are not renewed.
  uint64_t RenewalMs() const;
  // Whether a session that is used now, and was last used so long ago, is the first to be used
  // since the last moment for its renewal.
  bool RenewalIsDue(const shm::SessionKey& key, uint64_t idle_ms) const;

  // Whether a session that was last used so long ago may have been changed elsewhere, unheard.
  bool IsUnsure(uint64_t idle_ms) const {
    return UsedBefore(state().unsure_before_ms.load(std::memory_order_relaxed), idle_ms, BootMs());
  }

  bool HasHeardOf(const shm::SessionKey& key) const {
    return state().NotedTime(StoreKey::Of(key).tag, WallMs()) != 0;
  }

  enum class Source : uint8_t {
    kAnswer,  // to a question, as the session is used
    kNewer,   // the answer to a change that was not the newest
    kStream,  // the changes of all machines, our own included
    kRepeat,  // one of them that was applied before
    kOwn      // a change of our own that the store has taken: the stream has only what is news
  };
  struct Heard {
    Source source;
    // Of kAnswer and kOwn: since the session began, where the zone's timeout runs from there. All
    // others are as old as their versions.
    uint64_t age_ms = 0;
    uint64_t known_ms = 0;   // of the session as it is here: see KnownUntil()
    bool of_former = false;  // it is what the store has under an earlier key
    bool was_there = false;  // of kStream: before this machine listened; how old it is says nothing
  };
  // A record that the store has for a session: into the zone, if it is newer than what is known
  // here. One from the stream that is older than the timeout teaches no session. True: the session
  // lives at a server of ours.
  bool Take(const StoreKey& key, std::string_view record, const Heard& heard);

  // See rules.h; of a session that was last used so long ago.
  uint64_t KnownUntil(uint64_t idle_ms, bool heard_all) const;
  // The moment before which sessions are unsure, as the wall showed it; 0: there is none.
  uint64_t UnsureBeforeWallMs() const;
  // The last use, rounded up as the table keeps it in ticks.
  static uint64_t LastUseWallMs(uint64_t idle_ms) { return WallMs() - idle_ms + shm::kTickMs; }

  // Of a session that is written anew; see OfferedAs().
  shm::StoreVersion OfferedVersion(const StoreKey& key, uint64_t known_at_wall_ms) const {
    return OfferedAs(state().NotedTime(key.tag, WallMs()), known_at_wall_ms, state().machine());
  }
  const Env& env() const { return env_; }
  const conf::SessionStore& conf() const { return env_.link.conf; }
  shm::SessionTable& sessions() const { return env_.sessions; }
  shm::StoreState& state() const { return env_.state; }
  shm::StoreFigures& figures() const { return env_.state.figures; }
  Loop& loop() const { return env_.link.loop; }

  void Say(LogLevel level, const std::string& text, bool is_alert) const;

 private:
  void NoteLag(const shm::StoreVersion& version);
  uint64_t AgeOf(const shm::StoreVersion& version, const Heard& heard) const;
  bool IsOver(uint64_t age_ms) const;

  const Env env_;
};

}  // namespace limpet::worker
