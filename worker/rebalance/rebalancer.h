// The duty to even out the loads of an upstream's servers (`rebalance`) and to empty those that
// drain (`move=`): idle sessions move, so many a second, in steps of some microseconds. One worker
// at a time: between Start and Stop it has the upstream's lease (worker/health/watch.h).
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/log.h"
#include "worker/net/loop.h"
#include "worker/rebalance/idle_moves.h"
#include "worker/store/store_client.h"

namespace limpet::worker {

// Sessions that may move, as time passes: at most so many a second, and none of what was not used
// in the last fifth of one.
class MoveRate {
 public:
  // How many may move now.
  uint64_t Allow(uint64_t per_second, uint64_t now_ms);
  void Spend(uint64_t sessions) { tokens_ms_ -= static_cast<int64_t>(sessions) * 1000; }

 private:
  int64_t tokens_ms_ = 0;  // a session is 1000 of them
  uint64_t at_ms_ = 0;     // 0: not begun
};

class Rebalancer final : public StoreIdleUser {
 public:
  struct Env {
    Loop& loop;
    const Log& log;
    UpstreamGroup& group;
    const conf::SessionZone& zone;
    shm::SessionTable& table;
    shm::StoreState* shared = nullptr;  // of a zone that is also in a store
    StoreClient* store = nullptr;       // the same
  };
  explicit Rebalancer(const Env& env);
  Rebalancer(const Rebalancer&) = delete;
  Rebalancer& operator=(const Rebalancer&) = delete;
  ~Rebalancer() { Stop(); }

  void Start();
  void Stop();

 private:
  struct Asked {
    MoveCandidate candidate;
    uint64_t at_ms = 0;
  };

  void OnTimer();
  bool Plan(uint64_t now_ms);
  bool PlanEvening(uint64_t now_ms);
  bool PlanLeaving(uint64_t now_ms);
  void Walk();
  void Take(const MoveCandidate& candidate);
  void Carry(const MoveCandidate& candidate);
  void OnIdle(const StoreKey& key, uint64_t idle_ms) override;
  void CountAsked(uint64_t now_ms);
  void SayBegin();
  void SayEnd(uint64_t now_ms);
  const conf::Rebalance& conf() const { return env_.group.conf().rebalance; }

  const Env env_;
  const uint64_t idle_ms_;
  IdleMoves moves_;
  MoveRate rate_;
  std::unordered_map<uint16_t, MoveRate> leaving_;  // by index in the table
  // Sessions that the store has been asked for.
  std::unordered_map<StoreKey, Asked, StoreKeyHash> asked_;
  bool found_any_ = false;  // in this walk
  uint64_t rest_until_ms_ = 0;
  uint64_t began_ms_ = 0;  // evening loads; 0: they are even
  uint64_t moved_ = 0;     // since
  Timer timer_;
};

}  // namespace limpet::worker
