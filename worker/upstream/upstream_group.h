// An upstream at work in one worker and one generation: its peers, how they are chosen, what
// happened to them.
//
//   PeerSelection selection;
//   group.Begin(selection);                      // sets tries
//   Peer* peer = group.Choose(selection, bound, now);
//   … the attempt …
//   group.Done(selection, outcome, now);         // exactly once per chosen peer
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/text.h"
#include "conf/upstream.h"
#include "shm/peer_state.h"
#include "worker/upstream/balancer.h"
#include "worker/upstream/peer.h"
#include "worker/upstream/peer_selection.h"

namespace limpet::worker {

enum class Outcome : uint8_t {
  kOk,      // the peer answered
  kFailed,  // counts towards max_fails
  kNext,    // answered, but the answer was not used (404 with proxy_next_upstream http_404): no
            // failure
};

struct AttemptResult {
  int64_t header_ms = -1;    // for least_time; -1: not reached
  int64_t response_ms = -1;  // the same
  int status = 0;            // of the response that came; 0: none
  uint64_t sent = 0;         // bytes
  uint64_t received = 0;
};

class UpstreamGroup {
 public:
  // `states` has as many entries as PeerIdentities(conf); null: this worker's own are made. `slot`
  // is the worker's.
  UpstreamGroup(const conf::Upstream& conf, shm::PeerStates* states, int slot);
  UpstreamGroup(const UpstreamGroup&) = delete;
  UpstreamGroup& operator=(const UpstreamGroup&) = delete;

  // What names the peers' shared states over reloads, in the order of peers(): given to
  // PeerStateRegistry::Attach.
  static std::vector<std::string> PeerIdentities(const conf::Upstream& conf);
  // What cookies and session tables call the peers, in the same order.
  static std::vector<std::string> ServerIds(const conf::Upstream& conf);

  // `key` and `client` as in PeerSelection; both may be left out if the method does not need them.
  void Begin(PeerSelection& selection, std::string_view key = {},
             const SocketAddress* client = nullptr) const;

  // The next peer, or null if none can take the request now (nginx: "no live upstreams"). `bound`
  // is where the request's session lives, or null: it is used if it can take the request and its
  // tier is in use, as in nginx; so a session bound to a backup returns to the primaries when they
  // are back.
  Peer* Choose(PeerSelection& selection, Peer* bound, uint64_t now_ms);

  // Exactly this peer whatever its tier, or null if it cannot take the request now.
  Peer* TryPeer(PeerSelection& selection, Peer* peer, uint64_t now_ms);

  // Whether a peer can take this request, of a session bound to it or of any other; one that the
  // selection has tried counts as down.
  PeerCondition Condition(const PeerSelection& selection, const Peer& peer, bool bound_session,
                          uint64_t now_ms) const;
  // Whether a request that finds no peer now might wait for one: some are only full.
  bool AnyFull(const PeerSelection& selection, uint64_t now_ms) const;

  // The attempt with selection.current has ended. True if the peer is over max_fails now (log it:
  // "upstream server temporarily disabled").
  bool Done(PeerSelection& selection, Outcome outcome, uint64_t now_ms,
            const AttemptResult& result = {});

  Peer* FindByServerId(std::string_view server_id);
  std::vector<Peer>& peers() { return peers_; }
  const conf::Upstream& conf() const { return conf_; }
  bool needs_key() const;
  bool single() const { return peers_.size() == 1; }

  // Peers whose upstream has mandatory health checks are not used before those have passed in this
  // generation of the configuration.
  void RequireChecks(uint64_t generation);

  void set_session_counts(const SessionCounts* counts) { session_counts_ = counts; }

 private:
  void MakePeers();
  void AttachStates();
  Tier MakeTier(size_t begin, size_t end);
  std::unique_ptr<Balancer> MakeBalancer();
  Peer* PickFromTiers(PeerSelection& selection, Peer* bound, uint64_t now_ms);
  Peer* Account(PeerSelection& selection, Peer* peer, uint64_t now_ms);
  bool CountFailure(Peer& peer, uint64_t now_ms);
  void CountSuccess(Peer& peer, uint64_t now_ms);

  const conf::Upstream& conf_;
  int slot_;
  std::vector<Peer> peers_;
  std::unique_ptr<shm::PeerStates> own_states_;
  shm::PeerStates* states_;
  Tier primaries_;
  Tier backups_;
  int initial_tries_ = 0;
  std::unordered_map<std::string, int, HashText, std::equal_to<>> by_server_id_;
  const SessionCounts* session_counts_ = nullptr;
  std::unique_ptr<Balancer> balancer_;
};

}  // namespace limpet::worker
