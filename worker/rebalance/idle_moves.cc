#include "worker/rebalance/idle_moves.h"

#include <algorithm>
#include <array>

#include "base/clock.h"

namespace limpet::worker {
namespace {

LoadRole RoleOf(const Peer& peer) {
  if (peer.backup || peer.gone) return LoadRole::kAway;
  if (peer.draining()) return peer.drain_move() > 0 ? LoadRole::kLeaves : LoadRole::kAway;
  const bool failed =
      peer.conf->max_fails > 0 && peer.state->standing().fails.load(std::memory_order_relaxed) > 0;
  return peer.down() || failed ? LoadRole::kAway : LoadRole::kShares;
}

}  // namespace

std::vector<MoveServer> LoadsOf(UpstreamGroup& group, const shm::SessionTable& table) {
  group.Update();
  std::vector<MoveServer> servers;
  for (const Peer& peer : group.peers()) {
    const uint16_t index = table.peers().Find(peer.server_id);
    if (index == shm::kNoPeer) continue;
    const ServerLoad load{table.PeerLive(index), peer.weight(), RoleOf(peer)};
    const auto known = std::ranges::find(servers, index, &MoveServer::index);
    if (known == servers.end()) {
      servers.push_back({.name = peer.name,
                         .index = index,
                         .load = load,
                         .rate = peer.draining() ? peer.drain_move() : 0});
    } else if (load.role == LoadRole::kShares) {  // one server that is there twice
      known->load.weight += known->load.role == load.role ? load.weight : 0;
      known->load.role = load.role;
    }
  }
  return servers;
}

std::vector<ServerLoad> IdleMoves::Loads() const {
  std::vector<ServerLoad> loads;
  for (const MoveServer& server : servers_) loads.push_back(server.load);
  return loads;
}

void IdleMoves::PlanEven(uint64_t most) {
  const std::vector<uint64_t> targets = EvenTargets(Loads());
  for (size_t i = 0; i < servers_.size(); ++i) {
    MoveServer& server = servers_[i];
    if (server.load.role != LoadRole::kShares) continue;
    server.takes = targets[i] - std::min(targets[i], server.load.sessions);
    server.gives =
        std::min(most, server.load.sessions - std::min(targets[i], server.load.sessions));
    most -= server.gives;
  }
}

MoveServer* IdleMoves::At(uint16_t index) {
  const auto found = std::ranges::find(servers_, index, &MoveServer::index);
  return found == servers_.end() ? nullptr : &*found;
}

MoveServer* IdleMoves::TakerFor(const MoveServer& giver) {
  std::vector<ServerLoad> loads = Loads();
  if (giver.load.role == LoadRole::kShares) {
    for (size_t i = 0; i < servers_.size(); ++i) {
      if (servers_[i].takes == 0) loads[i].role = LoadRole::kAway;
    }
  }
  const size_t taker = LeastLoaded(loads);
  return taker == kNobody ? nullptr : &servers_[taker];
}

// What is beyond a plan is not in it: sessions of servers that leave.
void IdleMoves::Count(MoveServer& from, MoveServer& to) {
  ++from.given;
  ++to.taken;
  if (from.gives > 0) --from.gives;
  if (to.takes > 0) --to.takes;
  if (from.load.sessions > 0) --from.load.sessions;
  ++to.load.sessions;
}

std::vector<MoveCandidate> IdleMoves::Find(uint32_t slots, uint64_t idle_ms) {
  std::vector<MoveCandidate> found;
  for (const shm::SessionRecord& session : table_.IdleFor(idle_ms, BootMs(), slots, &walk_)) {
    MoveServer* const from = At(session.peer());
    if (from == nullptr || from->gives == 0) continue;
    MoveServer* const to = TakerFor(*from);
    if (to == nullptr) continue;
    Count(*from, *to);
    found.push_back({session, to->index});
  }
  return found;
}

bool IdleMoves::Move(const MoveCandidate& candidate) {
  if (table_.MoveIdle(candidate.session, candidate.to, BootMs())) {
    if (shared_ == nullptr) return true;
    std::array told{candidate.session};
    told[0].place = candidate.to;
    shared_->Relay(told, table_.peers(), WallMs());
    return true;
  }
  GiveBack(candidate);
  return false;
}

void IdleMoves::GiveBack(const MoveCandidate& candidate) {
  MoveServer* const from = At(candidate.session.peer());
  MoveServer* const to = At(candidate.to);
  if (from == nullptr || to == nullptr) return;
  --from->given;
  --to->taken;
  ++from->gives;
  ++to->takes;
  ++from->load.sessions;
  --to->load.sessions;
}

}  // namespace limpet::worker
