// Watches the upstreams of a worker: probes their peers, moves idle sessions to make loads even,
// and notices when a draining peer is empty. Of all workers on an upstream one does it at a time,
// whoever holds its lease; another takes over within a second when that one has died. An upstream
// without `zone` is watched only by a worker that is the only one.
#pragma once

#include <memory>
#include <vector>

#include "shm/lease.h"
#include "shm/session_table.h"
#include "worker/health/group_check.h"
#include "worker/rebalance/rebalancer.h"

namespace limpet::worker {

class GroupWatch {
 public:
  // What the group learns its sessions into; no table: it learns none.
  struct Sessions {
    const conf::SessionZone* zone = nullptr;
    shm::SessionTable* table = nullptr;
    shm::StoreState* shared = nullptr;  // of a zone that is also in a store
    StoreClient* store = nullptr;       // the same
  };
  // `states` null: the group's state is this process's own.
  GroupWatch(const GroupCheck::Env& env, UpstreamGroup& group, const shm::PeerStates* states,
             const Sessions& sessions);

  void Tick();  // takes the lease if it is free; does what is due if it is held
  void Stop();  // another worker may take it at once
  bool has_checks() const { return !group_.conf().checks.empty(); }

 private:
  void Begin();
  void AdoptResults();
  void WatchDrains();
  void TellDrained(const Peer& peer, uint64_t sessions) const;
  void SetDrained(Peer& peer, bool drained);
  bool IsDrained(const Peer& peer, uint64_t sessions) const;
  uint64_t SessionsOf(const Peer& peer) const;

  const GroupCheck::Env env_;
  UpstreamGroup& group_;
  const shm::SessionTable* sessions_;
  std::unique_ptr<Rebalancer> rebalancer_;  // null: there is nothing to move
  shm::Lease lease_;
  std::vector<std::unique_ptr<GroupCheck>> checks_;  // while the lease is held
  bool watching_ = false;
};

class Watch {
 public:
  Watch(Loop& loop, std::vector<std::unique_ptr<GroupWatch>> groups);
  void Stop();

 private:
  void OnTimer();

  std::vector<std::unique_ptr<GroupWatch>> groups_;
  uint64_t interval_ms_;
  Timer timer_;
};

}  // namespace limpet::worker
