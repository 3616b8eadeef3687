// One server of an upstream as a worker sees it: constant facts here, what changes in its
// PeerState.
#pragma once

#include <cstdint>
#include <string>

#include "base/socket_address.h"
#include "conf/upstream.h"
#include "shm/peer_state.h"

namespace limpet::worker {

// How long ago a peer's time was, which another worker may have written: the clock of its loop may
// be a moment ahead of ours.
constexpr uint64_t Since(uint64_t now_ms, uint64_t then_ms) {
  return now_ms > then_ms ? now_ms - then_ms : 0;
}

struct Peer {
  SocketAddress address;
  std::string name{};       // "127.0.0.1:8081", as in logs and $upstream_addr
  std::string server{};     // as written in `server`, or the name an SRV record gives: `hash
                            // consistent` places points by it
  std::string target{};     // that name; "" without SRV record
  std::string server_id{};  // what session tables hold, and cookies but of servers of a service
                            // (ClientId); see ServerId
  const conf::UpstreamServer* conf = nullptr;
  shm::PeerState* state = nullptr;
  const shm::PeerBook::Count* elsewhere = nullptr;  // the other binary's connections; or null
  int index = 0;                                    // in the group: primaries first, then backups
  // Equal for peers of the group with equal addresses: kept connections match by it.
  int address_id = 0;
  bool backup = false;
  bool gone = false;      // its name gives it no more: it ends what it has and takes nothing
  int record_weight = 0;  // of its SRV record; 0: as configured
  uint16_t session_index = UINT16_MAX;  // in the table of `sticky learn`, whose policy sets it
  uint32_t occupant = 0;                // of its place in `state`
  bool needs_check = false;             // takes nothing before its mandatory checks have passed
  int backup_twin = -1;  // of a primary: the backup with the same server id, -1 if there is none

  int weight() const { return record_weight > 0 ? record_weight : conf->weight; }
  bool down() const {
    return gone || conf->down || HasFlag(shm::kPeerDown | shm::kPeerUnhealthy) || checking();
  }
  // Not used yet: a mandatory check has still to pass.
  bool checking() const { return needs_check && !state->HasPassed(); }
  // False: it has left, and `state` is another's. Under the lock, and that for as long as it holds.
  bool is_in_place() const { return state->occupant.load(std::memory_order_relaxed) == occupant; }
  bool draining() const { return conf->drain || HasFlag(shm::kPeerDraining); }
  // While it drains: so many of its idle sessions a second go to others. 0: none.
  uint32_t drain_move() const {
    if (!HasFlag(shm::kPeerDraining)) return static_cast<uint32_t>(conf->drain_move);
    return state->standing().drain_move.load(std::memory_order_relaxed);
  }
  // Its drain's deadline has passed: it is not asked for its own sessions either.
  bool drain_is_over(uint64_t now_ms) const {
    const uint64_t until = state->standing().drain_until_ms.load(std::memory_order_relaxed);
    return until != 0 && now_ms >= until && draining();
  }
  // Its drain's deadline has passed also for what has no end of its own. Of the workers of an older
  // configuration, too, which know nothing of a drain but this.
  bool ends_what_is_endless(uint64_t now_ms) const {
    const uint64_t until = state->standing().drain_until_ms.load(std::memory_order_relaxed);
    return until != 0 && now_ms >= until && !HasFlag(shm::kPeerDrainKeeps);
  }
  uint32_t conns() const {
    const uint32_t own = state->conns.load(std::memory_order_relaxed);
    return elsewhere == nullptr ? own : own + elsewhere->load(std::memory_order_relaxed);
  }
  // The other binary has taken the last place in the same moment as this one.
  bool is_overbooked() const {
    return conf->max_conns > 0 && elsewhere != nullptr && elsewhere->load() > 0 &&
           conns() > static_cast<uint32_t>(conf->max_conns);
  }

 private:
  bool HasFlag(uint32_t mask) const {
    return (state->standing().flags.load(std::memory_order_relaxed) & mask) != 0;
  }
};

}  // namespace limpet::worker
