// An upstream at work in one worker and one generation: its peers, how they are chosen, what
// happened to them.
//
//   PeerSelection selection;
//   group.Begin(selection);                      // sets tries
//   Peer* peer = group.Choose(selection, bound, now);
//   … the attempt …
//   group.Done(selection, outcome, now);         // exactly once per chosen peer
//   …
//   selection.LetGo();                           // when nobody looks at its peers any more
//
// DNS may add and remove peers at run time: Begin and Choose look whether there are others
// now. A Peer* is good for as long as its selection, and no longer than this turn of the loop
// without one.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "conf/upstream.h"
#include "shm/peer_state.h"
#include "shm/resolved_peers.h"
#include "worker/net/callback.h"
#include "worker/upstream/balancer.h"
#include "worker/upstream/peer.h"
#include "worker/upstream/peer_selection.h"
#include "worker/upstream/peer_set.h"

namespace limpet::worker {

enum class Outcome : uint8_t {
  kOk,      // the peer answered
  kFailed,  // counts towards max_fails
  kNext,    // answered, but the answer was not used (404 with proxy_next_upstream http_404): no
            // failure
  kStale,   // a kept connection had been closed before it answered: says nothing about the peer,
            // and costs no try; it may be chosen again
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

  // What names the shared states of configured peers over reloads, and the names of the others: for
  // PeerStateRegistry::Attach.
  static std::vector<std::string> PeerIdentities(const conf::Upstream& conf);
  static std::vector<shm::ServerName> ServerNames(const conf::Upstream& conf);
  // What cookies and session tables call the peers. `states`: for those that names have given so
  // far; null: there are none.
  static std::vector<std::string> ServerIds(const conf::Upstream& conf, shm::PeerStates* states);

  // `key` and `client` as in PeerSelection; both may be left out if the method does not need them.
  void Begin(PeerSelection& selection, std::string_view key = {},
             const SocketAddress* client = nullptr);

  // A peer of peers() is to be looked at from now on: the selection holds those, too. Where it has
  // chosen none so far, it chooses from them.
  void Hold(PeerSelection& selection);

  // The next peer, or null if none can take the request now (nginx: "no live upstreams"). `bound`
  // is where the request's session lives, or null: it is used if it can take the request and its
  // tier is in use, as in nginx; so a session bound to a backup returns to the primaries when they
  // are back. Where all that the selection began with have gone, the present ones are asked.
  Peer* Choose(PeerSelection& selection, Peer* bound, uint64_t now_ms);

  // Exactly this peer whatever its tier, or null if it cannot take the request now.
  Peer* TryPeer(PeerSelection& selection, Peer* peer, uint64_t now_ms);

  // The peer that has a session's requests for as long as `home` is away; see stand_in.h. One in
  // service that the selection has not tried, a primary if there is one; at max_conns, too, unless
  // `only_ready`. Null: there is none.
  Peer* StandIn(const PeerSelection& selection, std::string_view session, const Peer& home,
                bool only_ready, uint64_t now_ms) const;

  // Whether a peer can take this request, of a session bound to it or of any other; one that the
  // selection has tried counts as down.
  PeerCondition Condition(const PeerSelection& selection, const Peer& peer, bool bound_session,
                          uint64_t now_ms) const;
  // Whether a request that finds no peer now might wait for one: some are only full.
  bool AnyFull(const PeerSelection& selection, uint64_t now_ms) const;

  // Its response has begun and is going to be used. It is in service again at once, not only when
  // a response that may be long has ended: other requests of its sessions are to find it.
  // `header_ms` is for least_time, as in AttemptResult.
  void Answered(PeerSelection& selection, uint64_t now_ms, int64_t header_ms = -1);
  // What its response had to say of sessions has been heard: least_sessions counts the session
  // itself from now on, if there is one.
  void SessionsHeard(PeerSelection& selection);
  // The attempt with selection.current has ended. True if the peer is over max_fails now (log it:
  // "upstream server temporarily disabled").
  bool Done(PeerSelection& selection, Outcome outcome, uint64_t now_ms,
            const AttemptResult& result = {});

  Peer* FindByServerId(std::string_view server_id) { return current_->FindByServerId(server_id); }
  // As of the last Begin, Choose, TryPeer or Update.
  std::vector<Peer>& peers() { return current_->peers; }
  PeerSetRef current() { return current_; }  // to hold them beyond this turn of the loop
  void Update();                             // takes the peers that there are now
  const conf::Upstream& conf() const { return conf_; }
  bool needs_key() const;
  bool single() const { return current_->single(); }
  shm::PeerStates& states() { return *states_; }

  void AdoptDrains();  // see PeerSet

  // Called when peers have come or gone, outside of all locks.
  void set_on_change(Callback on_change) { on_change_ = on_change; }
  void set_session_counts(const SessionCounts* counts) { session_counts_ = counts; }

 private:
  void Take();
  void Announce();
  void Restart(PeerSelection& selection);
  Peer* ChooseWithinLimits(PeerSelection& selection, Peer* bound, uint64_t now_ms);
  Peer* TryPeerLocked(PeerSelection& selection, Peer* peer, uint64_t now_ms);
  bool GivesWay(PeerSelection& selection, Peer& peer);
  Peer* ChooseFrom(PeerSelection& selection, Peer* bound, uint64_t now_ms);
  Peer* PickFromTiers(PeerSelection& selection, Peer* bound, uint64_t now_ms);
  Peer* Account(PeerSelection& selection, Peer* peer, uint64_t now_ms);
  static PeerCondition ConditionIn(const PeerSelection& selection, const Peer& peer,
                                   bool bound_session, uint64_t now_ms);
  void BeginOpening(PeerSelection& selection, const Peer* bound);
  void EndOpening(PeerSelection& selection);
  void BeginInflight(PeerSelection& selection, uint64_t now_ms);
  void EndInflight(PeerSelection& selection);
  // Its time to the head enters the average with the head, as then it is no longer in flight.
  bool AveragesHeadsAtOnce(const PeerSelection& selection) const {
    return conf_.least_time_inflight && !conf_.least_time_last_byte && !selection.set->single();
  }
  bool CountFailure(Peer& peer, uint64_t now_ms);
  void CountSuccess(Peer& peer, uint64_t now_ms);

  const conf::Upstream& conf_;
  int slot_;
  std::unique_ptr<shm::PeerStates> own_states_;
  shm::PeerStates* states_;
  const SessionCounts* session_counts_ = nullptr;
  AddressIds address_ids_;
  PeerSetRef current_;
  std::vector<PeerSetRef> earlier_;  // that exchanges still use
  Callback on_change_;
  bool changed_ = false;
};

}  // namespace limpet::worker
