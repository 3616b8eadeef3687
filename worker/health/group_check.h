// One health_check at work: every peer of its upstream is probed at its own times, and what the
// probes say becomes the peers' shared state. Exists only in the one worker that watches the
// upstream; another one that takes over starts counting anew.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "shm/alert_ring.h"
#include "shm/check_notes.h"
#include "worker/health/probe.h"
#include "worker/upstream/upstream_group.h"

namespace limpet::worker {

// Results of one check of one peer, in a row. Pure.
class CheckCounter {
 public:
  enum class Change : uint8_t { kNone, kUnhealthy, kHealthy };
  struct Standing {
    bool failing = false;   // the check had found it unhealthy
    bool waiting = false;   // it is not used before it has passed
    bool on_trial = false;  // it was in use before a reload: until it has passed again, one failure
                            // is enough
  };
  Change Count(const conf::HealthCheck& check, bool good, const Standing& standing);

 private:
  int passes_ = 0;
  int fails_ = 0;
};

class GroupCheck {
 public:
  struct Env {
    Loop& loop;
    const conf::Http& http;
    const TlsClientContexts* tls;
    const std::vector<Log>& logs;
    shm::AlertRing& alerts;  // what an operator should see
    shm::CheckNotes* notes;  // for status pages; null: there are none
    uint64_t generation;
  };
  // `place`: the check's among the upstream's.
  GroupCheck(const Env& env, UpstreamGroup& group, size_t place);
  ~GroupCheck();
  GroupCheck(const GroupCheck&) = delete;
  GroupCheck& operator=(const GroupCheck&) = delete;

  // Follows the peers of the group: new ones are probed soon, gone ones no more. Call now and then.
  void Sync();

 private:
  class PeerCheck;
  void OnResult(PeerCheck& peer, const ProbeResult& result);
  std::optional<CheckCounter::Change> Apply(PeerCheck& peer, bool good);
  CheckCounter::Standing StandingOf(const shm::PeerState& state) const;
  void SetUnhealthy(PeerCheck& peer);
  void SetHealthy(PeerCheck& peer);
  void NoteChange(const PeerCheck& peer) const;
  uint32_t MandatoryBits() const;
  // Mandatory checks that the peer in this place has passed in this generation.
  uint32_t PassedBy(const shm::PeerState& state) const { return state.PassedIn(generation()); }
  uint32_t generation() const { return static_cast<uint32_t>(env_.generation); }
  std::string Of(const PeerCheck& peer) const;  // ", health check of peer …"
  void Announce(LogLevel level, const std::string& text) const;

  const Env env_;
  UpstreamGroup& group_;
  const conf::Location& location_;
  const conf::HealthCheck& check_;
  const ProbePlan plan_;
  const uint32_t bit_;
  std::minstd_rand random_;  // for jitter
  std::map<shm::PeerState*, std::unique_ptr<PeerCheck>> peers_;
};

}  // namespace limpet::worker
