// POST upstreams/NAME/rebalance: once, what `rebalance` does over time. One walk over the zone in
// short steps; without `dry_run` sessions move as they are met, so both say the same of a zone that
// nobody uses meanwhile.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "worker/rebalance/idle_moves.h"
#include "worker/status/json_parts.h"
#include "worker/status/status.h"

namespace limpet::worker {

class RebalanceCall {
 public:
  RebalanceCall(shm::SessionTable& table, std::vector<MoveServer> servers, uint64_t idle_ms,
                double threshold, bool dry);

  bool Step(std::chrono::microseconds time);  // works for about that long; true: there is more
  StatusReply Reply();

 private:
  IdleMoves moves_;
  std::vector<MoveServer> before_;
  const uint64_t idle_ms_;
  const bool dry_;
};

// Why idle sessions of an upstream cannot move; "": they can.
std::string_view WhyNoMoves(const StatusSource& source, const conf::Upstream& upstream);

// {"dry_run": true, "idle": "5m"}, both optional. On success the call is set and the reply is not
// yet.
StatusReply BeginRebalance(const StatusSource& source, std::string_view upstream, const Json& body,
                           std::optional<RebalanceCall>* call);

}  // namespace limpet::worker
