// Moves idle sessions of a zone from servers that give to servers that take. One walk over the
// table in short pieces; nobody waits for it, and it waits for nobody longer than for a shard's
// lock.
//
//   IdleMoves moves(table, shared);
//   moves.SetServers(LoadsOf(group, table));
//   moves.PlanEven();
//   while (moves.more()) for (const MoveCandidate& session : moves.Find(slots, idle_ms)) …
//
// Belongs to one process. Others may move the same sessions at that moment: a session moves once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shm/session_table.h"
#include "shm/store_state.h"
#include "worker/rebalance/move_plan.h"
#include "worker/upstream/upstream_group.h"

namespace limpet::worker {

struct MoveServer {
  std::string name;
  uint16_t index = shm::kNoPeer;  // in the table
  ServerLoad load;
  uint32_t rate = 0;   // of one that leaves: sessions a second
  uint64_t gives = 0;  // so many more, as planned
  uint64_t takes = 0;  // the same
  uint64_t given = 0, taken = 0;
};

// The primary servers of a group. One that has failed lately, is down, or drains without `move`, is
// away: nothing is sent after a server that may be dead.
std::vector<MoveServer> LoadsOf(UpstreamGroup& group, const shm::SessionTable& table);

struct MoveCandidate {
  shm::SessionRecord session;  // its peer is where it lives
  uint16_t to = shm::kNoPeer;
};

class IdleMoves {
 public:
  // `shared`: of a zone that is also in a store, which is told; else null.
  IdleMoves(shm::SessionTable& table, shm::StoreState* shared) : table_(table), shared_(shared) {}

  // From now on these are the servers; the walk goes on where it is.
  void SetServers(std::vector<MoveServer> servers) { servers_ = std::move(servers); }
  std::vector<MoveServer>& servers() { return servers_; }
  std::vector<ServerLoad> Loads() const;
  // Those that share give what is beyond EvenTargets(), at most so many together.
  void PlanEven(uint64_t most = UINT64_MAX);

  // Sessions of the next piece of the table that have been idle for so long, as far as their
  // servers give any; they are counted as given and taken.
  std::vector<MoveCandidate> Find(uint32_t slots, uint64_t idle_ms);
  // False: it has been used meanwhile, or has gone, and is counted as where it was.
  bool Move(const MoveCandidate& candidate);
  void GiveBack(const MoveCandidate& candidate);  // it is not moved, and counted as where it was
  bool more() const { return walk_.more; }
  void Restart() { walk_ = {}; }
  // Whether what is moved can be told to the store.
  bool HasRoom(size_t sessions) const {
    return shared_ == nullptr || shared_->relay.Room() >= sessions;
  }

 private:
  MoveServer* At(uint16_t index);
  MoveServer* TakerFor(const MoveServer& giver);
  static void Count(MoveServer& from, MoveServer& to);

  shm::SessionTable& table_;
  shm::StoreState* const shared_;
  std::vector<MoveServer> servers_;
  shm::SlotWalk walk_;
};

}  // namespace limpet::worker
