// What workers remember of each peer of an upstream: failures, weights, connections, times. With
// `zone` in the upstream it is shared by all workers and survives reloads for peers that stay;
// without, each worker has its own.
//
// Shared states live in anonymous memory that the master maps before it forks (so pointers are
// equal everywhere) and are found again by upstream and peer identity. All changes happen under the
// group's lock, reading counters does not need it. The lock is robust: if a worker dies in it, the
// next owner recomputes what may be half done.
//
// Connections, requests that may begin a session, and requests whose time still runs are counted
// per worker slot; `conns`, `opening` and `inflight` are their sums, kept for cheap reading. When a
// worker has died, the master calls ForgetWorker(slot) and what it counted is gone from the sums:
// max_conns never leaks. What another binary of this limpet has at a peer is in the PeerBook, and
// so is the standing that both share. Times are CLOCK_MONOTONIC milliseconds.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shm/counters.h"  // kMaxWorkerSlots
#include "shm/peer_book.h"
#include "shm/peer_standing.h"
#include "shm/response_codes.h"
#include "shm/robust_mutex.h"

namespace limpet::shm {

struct alignas(64) PeerState {
  std::atomic<int32_t> current_weight{0};
  std::atomic<int32_t> effective_weight{0};
  std::atomic<int32_t> weight{0};  // configured; another one at reload resets effective_weight
  std::atomic<uint32_t> conns{0};  // sum of conns_of_slot
  PeerStanding own;                // in use until the peer has a place in the PeerBook

  alignas(64) std::atomic<uint64_t> requests{0};
  std::atomic<uint64_t> failed{0};          // outcomes that counted as failures, ever
  std::atomic<uint64_t> unavailable{0};     // times it went over max_fails
  std::atomic<uint64_t> downtime_ms{0};     // for status
  std::atomic<uint32_t> header_time_ms{0};  // moving averages, for least_time
  std::atomic<uint32_t> response_time_ms{0};
  std::atomic<uint64_t> probes{0};         // active checks made
  std::atomic<uint32_t> failed_probes{0};  // of them
  std::atomic<uint32_t> unhealthy{0};      // times it became unhealthy
  std::atomic<uint32_t> opening{0};        // sum of opening_of_slot
  std::atomic<uint32_t> inflight{0};       // sum of inflight_of_slot

  // Answers by class (1xx to 5xx), and bytes of their heads and bodies both ways.
  alignas(64) std::atomic<uint64_t> responses[5]{};
  std::atomic<uint64_t> sent{0};
  std::atomic<uint64_t> received{0};
  std::atomic<uint32_t> place{0};  // in the PeerBook; 0: none
  // When all mandatory health checks have passed. 0: never, the peer is not used; kPassedBefore;
  // else the number of the generation in which they have, plus 1. Only grows.
  std::atomic<uint32_t> passed{0};

  alignas(64) std::atomic<uint32_t> conns_of_slot[kMaxWorkerSlots]{};
  // Requests under way that may begin a session here, for least_sessions.
  std::atomic<uint16_t> opening_of_slot[kMaxWorkerSlots]{};
  // Requests whose time still runs, for least_time inflight.
  std::atomic<uint16_t> inflight_of_slot[kMaxWorkerSlots]{};
  // The sum of the times at which they began; 0 if there is none, so that no error stays.
  std::atomic<uint64_t> inflight_since_ms{0};
  // `own`, or in the PeerBook; at the same address in all processes of a binary.
  std::atomic<PeerStanding*> used_standing{&own};

  // The mandatory health checks that it has passed so far, and in which generation; see
  // PassedIn(). A new peer in this place has passed none.
  std::atomic<uint64_t> passed_checks{0};
  // Since when it has been over max_fails or unhealthy, for status; 0: it is not.
  std::atomic<uint64_t> down_since_ms{0};
  // Another number for each peer that comes into this place: a result is of the one that was asked.
  // Under the lock.
  std::atomic<uint32_t> occupant{0};
  std::atomic<uint64_t> selected_ms{0};  // when a request was last given to it; 0: never
  ResponseCodes codes;

  // By another binary, or while the configuration asked for no check.
  static constexpr uint32_t kPassedBefore = 1;
  bool HasPassed() const { return passed.load(std::memory_order_relaxed) != 0; }
  bool HasPassedIn(uint64_t generation) const {
    return passed.load(std::memory_order_relaxed) > generation;
  }
  void RaisePassed(uint32_t to) {
    uint32_t old = passed.load(std::memory_order_relaxed);
    while (old < to && !passed.compare_exchange_weak(old, to, std::memory_order_relaxed)) {
    }
  }
  uint32_t PassedIn(uint32_t generation) const {
    const uint64_t checks = passed_checks.load(std::memory_order_relaxed);
    return checks >> 32 == generation ? static_cast<uint32_t>(checks) : 0;
  }
  void SetPassedIn(uint32_t generation, uint32_t checks) {
    passed_checks.store(uint64_t{generation} << 32 | checks, std::memory_order_relaxed);
  }
  PeerStanding& standing() { return *used_standing.load(std::memory_order_acquire); }
  const PeerStanding& standing() const { return *used_standing.load(std::memory_order_acquire); }
};
static_assert(std::atomic<uint64_t>::is_always_lock_free);
static_assert(sizeof(PeerState) == 192 + 8 * kMaxWorkerSlots + 64 + sizeof(ResponseCodes));

// Takes a peer out of service without breaking its sessions: from now on it gets only requests of
// sessions that are bound to it, and after `until_ms` (0: never) none at all; what it has in
// tunnels and streams ends then, too, unless it `keeps` them. So many of its idle sessions `move`
// to others each second. Any process may call, under the lock of the peer's group: nobody sees a
// deadline without its drain, and of two calls one is whole.
void BeginDrain(PeerStanding& standing, uint64_t until_ms, bool keeps = false, uint32_t move = 0);
void SetDrainKeeps(PeerStanding& standing, bool keeps);
// Back into service; ends a drain at any point. Under that lock.
void EndDrain(PeerStanding& standing);

// The same peer has moved to another place: what was known of it is known there, but for what
// workers count, which stays with them.
void TakeOver(PeerState& state, const PeerState& before);

class PeerStateRegistry;
class ResolvedPeers;
struct ServerName;

// The states of one upstream's peers, in the order of their identities. Made by the master for a
// `zone`, or by a worker for itself.
class PeerStates {
 public:
  // This process's own: no lock, all zero.
  static std::unique_ptr<PeerStates> Private(size_t count);
  ~PeerStates();
  PeerStates(const PeerStates&) = delete;
  PeerStates& operator=(const PeerStates&) = delete;

  size_t size() const { return states_.size(); }
  PeerState& operator[](size_t i) const { return *states_[i]; }
  bool shared() const { return shared_; }
  // Of the one process that watches these peers (shm/lease.h); null: this process does.
  RobustMutex* watch_mutex() const { return watch_; }

  // Peers that names give at run time, and the number of each name there; null: no server has
  // `resolve`. One process at a time asks the name servers.
  ResolvedPeers* resolved() const { return resolved_; }
  const std::vector<uint32_t>& sources() const { return sources_; }
  RobustMutex* resolving_mutex() const { return resolving_; }
  // Of all configurations that use these peers, also of another binary, this is the newest: what it
  // says of drains holds.
  bool is_newest() const;
  bool has_other_binary() const { return book_ != nullptr && book_->has_other(); }
  // Each of those names has been answered, or there is none. Takes the lock.
  bool AllNamesKnown();

  // Held while peers are compared and changed. Short; never while doing I/O.
  class Guard {
   public:
    explicit Guard(PeerStates& states) : states_(states) { states_.Lock(); }
    ~Guard() { states_.Unlock(); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    PeerStates& states_;
  };

  // One connection (or request) more or less at a peer. Under the lock.
  void AddConn(PeerState& state, int slot);
  void DropConn(PeerState& state, int slot);
  // Gives the peer its place in the book, if it has none yet: from then on its standing is that of
  // both binaries. Returns how many connections the other one has there, for as long as this
  // process lives; null: nobody counts them. `identity` is the peer's own in its upstream. Under
  // the lock.
  const PeerBook::Count* Share(PeerState& state, std::string_view identity);
  // One request more or less that may begin a session. Under the lock. False: so many are not
  // counted.
  static bool AddOpening(PeerState& state, int slot);
  static void DropOpening(PeerState& state, int slot);
  // One request more or less whose time still runs since then. Under the lock. False: so many are
  // not counted.
  static bool AddInflight(PeerState& state, int slot, uint64_t since_ms);
  static void DropInflight(PeerState& state, int slot, uint64_t since_ms);

 private:
  friend class PeerStateRegistry;
  PeerStates() = default;
  void Lock();
  void Unlock();
  void Repair();
  void SetConns(PeerState& state, uint32_t conns);
  void ForgetWorker(int slot);  // it counts nothing any more; under the lock

  std::vector<PeerState*> states_;
  std::unique_ptr<PeerState[]> own_;
  RobustMutex* mutex_ = nullptr;  // null: private
  RobustMutex* watch_ = nullptr;
  RobustMutex* resolving_ = nullptr;
  ResolvedPeers* resolved_ = nullptr;
  std::vector<uint32_t> sources_;
  PeerStateRegistry* registry_ = nullptr;
  std::string upstream_;
  std::vector<std::string> identities_;
  PeerBook* book_ = nullptr;  // null: there is no other binary's
  bool shared_ = false;
  uint64_t number_ = 0;                            // in the order of Attach
  const std::atomic<uint64_t>* newest_ = nullptr;  // the highest of the group; null: private
};

}  // namespace limpet::shm
