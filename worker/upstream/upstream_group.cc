#include "worker/upstream/upstream_group.h"

#include <fmt/core.h>

#include <algorithm>
#include <cassert>
#include <map>
#include <utility>

#include "worker/upstream/downtime.h"
#include "worker/upstream/stand_in.h"

namespace limpet::worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

template <class T>
void Increment(std::atomic<T>& field) {
  field.store(field.load(kRelaxed) + 1, kRelaxed);
}

// What status pages say of a peer. Under the group's lock: nobody else writes.
void CountResult(shm::PeerState& state, const AttemptResult& result) {
  if (result.status >= 100 && result.status < 600) {
    Increment(state.responses[static_cast<size_t>(result.status / 100 - 1)]);
    state.codes.Add(result.status);
  }
  state.sent.store(state.sent.load(kRelaxed) + result.sent, kRelaxed);
  state.received.store(state.received.load(kRelaxed) + result.received, kRelaxed);
}

// What the methods change while they choose, put back in the end: for a rehearsal. Under the
// group's lock; who dies in it leaves weights that are one turn off.
class KeptWeights {
 public:
  KeptWeights(bool keep, const std::vector<Peer>& peers) {
    if (!keep) return;
    for (const Peer& peer : peers) {
      shm::PeerState& s = *peer.state;
      kept_.push_back({&s, s.current_weight, s.effective_weight, s.standing().started_ms});
    }
  }
  ~KeptWeights() {
    for (const Kept& kept : kept_) {
      kept.state->current_weight = kept.current;
      kept.state->effective_weight = kept.effective;
      kept.state->standing().started_ms = kept.started_ms;
    }
  }
  KeptWeights(const KeptWeights&) = delete;
  KeptWeights& operator=(const KeptWeights&) = delete;

 private:
  struct Kept {
    shm::PeerState* state;
    int32_t current, effective;
    uint64_t started_ms;
  };
  std::vector<Kept> kept_;
};

// A twentieth of the way to the new value, as nginx averages.
void Average(std::atomic<uint32_t>& average, int64_t value) {
  if (value < 0) return;
  const double old = average.load(kRelaxed);
  const auto fresh = static_cast<double>(value);
  average.store(static_cast<uint32_t>(old > 0 ? 0.5 + fresh * 0.05 + old * 0.95 : fresh), kRelaxed);
}

// Under the group's lock.
void ForgetFailures(shm::PeerState& state, uint64_t now_ms) {
  shm::PeerStanding& standing = state.standing();
  standing.fails.store(0, kRelaxed);
  NoteDowntime(state, (standing.flags.load(kRelaxed) & shm::kPeerUnhealthy) != 0, now_ms);
}

// The method's own walk through the peers, from its start.
void BeginMethod(PeerSelection& selection) {
  selection.lookups = 0;
  selection.rehash = selection.hash = 0;
  selection.prepared = false;
}

}  // namespace

std::vector<std::string> UpstreamGroup::ServerIds(const conf::Upstream& conf,
                                                  shm::PeerStates* states) {
  std::vector<std::string> ids;
  ForEachConfiguredPeer(conf,
                        [&](const conf::UpstreamServer& server, const SocketAddress& address) {
                          ids.push_back(ServerId(server, address.ToString()));
                        });
  if (states == nullptr || states->resolved() == nullptr) return ids;
  const shm::PeerStates::Guard guard(*states);
  size_t name = 0;
  for (const conf::UpstreamServer& server : conf.servers) {
    if (!server.is_resolved()) continue;
    for (const auto& [peer, state] : states->resolved()->Peers(states->sources()[name++])) {
      ids.push_back(ServerId(server, peer.address.ToString(), peer.target));
    }
  }
  return ids;
}

std::vector<std::string> UpstreamGroup::PeerIdentities(const conf::Upstream& conf) {
  std::vector<std::string> identities;
  std::map<std::string, int> seen;  // the same address may be written twice: two peers
  ForEachConfiguredPeer(conf, [&](const conf::UpstreamServer&, const SocketAddress& address) {
    std::string name = address.ToString();
    const int times = seen[name]++;
    identities.push_back(times == 0 ? name : fmt::format("{}#{}", name, times));
  });
  return identities;
}

std::vector<shm::ServerName> UpstreamGroup::ServerNames(const conf::Upstream& conf) {
  std::vector<shm::ServerName> names;
  for (const conf::UpstreamServer& server : conf.servers) {
    if (!server.is_resolved()) continue;
    const bool has_service = !server.service.empty();
    names.push_back({.host = server.host,
                     .service = server.service,
                     .port = has_service ? uint16_t{0} : server.port});
  }
  return names;
}

UpstreamGroup::UpstreamGroup(const conf::Upstream& conf, shm::PeerStates* states, int slot)
    : conf_(conf), slot_(slot), states_(states) {
  if (states_ == nullptr) {
    own_states_ = shm::PeerStates::Private(PeerIdentities(conf).size());
    states_ = own_states_.get();
  }
  const shm::PeerStates::Guard guard(*states_);
  Take();
  changed_ = false;
}

// Under the lock, so that what a place of the table stands for cannot change before a peer in it is
// chosen.
void UpstreamGroup::Take() {
  const shm::ResolvedPeers* resolved = states_->resolved();
  if (current_ && (resolved == nullptr || resolved->version() == current_->version)) return;
  PeerSetRef fresh(new PeerSet(conf_, *states_, address_ids_, &session_counts_));
  address_ids_.ForgetOthersThan(fresh->peers);
  if (current_) earlier_.push_back(std::move(current_));
  std::erase_if(earlier_, [](const PeerSetRef& set) { return set->users() == 1; });
  for (const PeerSetRef& set : earlier_) set->MarkGone(*fresh);
  current_ = std::move(fresh);
  changed_ = true;
}

void UpstreamGroup::Announce() {
  if (!std::exchange(changed_, false)) return;
  if (on_change_) on_change_();
}

void UpstreamGroup::Update() {
  const shm::ResolvedPeers* resolved = states_->resolved();
  if (resolved != nullptr && resolved->version() != current_->version) {
    const shm::PeerStates::Guard guard(*states_);
    Take();
  }
  Announce();
}

bool UpstreamGroup::needs_key() const {
  return conf::RowOf(conf_.method).basis == conf::BalanceBasis::kKey;
}

void UpstreamGroup::Begin(PeerSelection& selection, std::string_view key,
                          const SocketAddress* client) {
  Update();
  selection.key = key;
  selection.client = client;
  Restart(selection);
  selection.current = nullptr;
  selection.tries = current_->initial_tries;
}

void UpstreamGroup::Hold(PeerSelection& selection) {
  if (selection.set.get() == current_.get()) return;
  if (selection.current == nullptr) return Restart(selection);
  selection.earlier.push_back(current_);
}

// From the beginning, with the present peers.
void UpstreamGroup::Restart(PeerSelection& selection) {
  if (selection.set.get() != current_.get()) {
    if (selection.set) selection.earlier.push_back(std::move(selection.set));
    selection.set = current_;
  }
  selection.tried.Reset(current_->peers.size());
  selection.on_backup = false;
  BeginMethod(selection);
}

Peer* UpstreamGroup::Choose(PeerSelection& selection, Peer* bound, uint64_t now_ms) {
  assert(selection.current == nullptr);
  Peer* peer = nullptr;
  {
    const shm::PeerStates::Guard guard(*states_);
    Take();
    peer = ChooseWithinLimits(selection, bound, now_ms);
    if (peer == nullptr && selection.set.get() != current_.get()) {
      Restart(selection);
      peer = ChooseWithinLimits(selection, bound, now_ms);
    }
  }
  Announce();
  return peer;
}

// One that the other binary has filled in the same moment counts as tried.
Peer* UpstreamGroup::ChooseWithinLimits(PeerSelection& selection, Peer* bound, uint64_t now_ms) {
  for (;;) {
    Peer* peer = ChooseFrom(selection, bound, now_ms);
    if (peer == nullptr || GivesWay(selection, *peer)) {
      if (peer == nullptr || selection.set->single()) return nullptr;
      continue;
    }
    return peer;
  }
}

bool UpstreamGroup::GivesWay(PeerSelection& selection, Peer& peer) {
  if (selection.dry || !peer.is_overbooked()) return false;
  EndOpening(selection);
  EndInflight(selection);
  states_->DropConn(*peer.state, slot_);
  selection.current = nullptr;
  return true;
}

Peer* UpstreamGroup::ChooseFrom(PeerSelection& selection, Peer* bound, uint64_t now_ms) {
  PeerSet& set = *selection.set;
  const KeptWeights kept(selection.dry, set.peers);
  bound = set.Own(bound);
  if (set.single()) {
    // The only peer is never given up for its failures: there is nowhere else to go.
    Peer& peer = set.peers.front();
    const PeerCondition condition = ConditionIn(selection, peer, bound == &peer, now_ms);
    if (condition != PeerCondition::kReady) return nullptr;
    return Account(selection, &peer, now_ms);
  }
  Peer* peer = PickFromTiers(selection, bound, now_ms);
  if (peer == nullptr) return nullptr;
  Account(selection, peer, now_ms);
  BeginOpening(selection, bound);
  return peer;
}

// A request without a session, or of one that moves, may bind a session to this peer. Until that is
// known it counts as one, or all that come at the same moment would go to the same peer.
void UpstreamGroup::BeginOpening(PeerSelection& selection, const Peer* bound) {
  if (conf::RowOf(conf_.method).basis != conf::BalanceBasis::kSessions || selection.dry) return;
  if (selection.current == bound) return;
  selection.opening = shm::PeerStates::AddOpening(*selection.current->state, slot_);
}

void UpstreamGroup::EndOpening(PeerSelection& selection) {
  if (!std::exchange(selection.opening, false)) return;
  shm::PeerStates::DropOpening(*selection.current->state, slot_);
}

void UpstreamGroup::BeginInflight(PeerSelection& selection, uint64_t now_ms) {
  if (!conf_.least_time_inflight) return;
  if (shm::PeerStates::AddInflight(*selection.current->state, slot_, now_ms))
    selection.inflight_since_ms = now_ms;
}

void UpstreamGroup::EndInflight(PeerSelection& selection) {
  const uint64_t since_ms = std::exchange(selection.inflight_since_ms, 0);
  if (since_ms != 0) shm::PeerStates::DropInflight(*selection.current->state, slot_, since_ms);
}

void UpstreamGroup::SessionsHeard(PeerSelection& selection) {
  if (!selection.opening) return;
  const shm::PeerStates::Guard guard(*states_);
  EndOpening(selection);
}

Peer* UpstreamGroup::PickFromTiers(PeerSelection& selection, Peer* bound, uint64_t now_ms) {
  PeerSet& set = *selection.set;
  // A session belongs to a server id: where primaries have failed, a backup with the same id may
  // have it.
  const auto in_tier = [&](bool backup) -> Peer* {
    if (bound == nullptr || bound->backup == backup) return bound;
    return backup && bound->backup_twin >= 0 ? &set.peers[static_cast<size_t>(bound->backup_twin)]
                                             : nullptr;
  };
  if (!selection.on_backup) {
    if (Peer* peer = set.balancer->Pick(set.primaries, selection, in_tier(false), now_ms))
      return peer;
    if (set.backups.peers.empty()) return nullptr;
    selection.on_backup = true;
  }
  return set.balancer->Pick(set.backups, selection, in_tier(true), now_ms);
}

Peer* UpstreamGroup::TryPeer(PeerSelection& selection, Peer* peer, uint64_t now_ms) {
  assert(selection.current == nullptr);
  {
    const shm::PeerStates::Guard guard(*states_);
    Take();
    peer = TryPeerLocked(selection, peer, now_ms);
  }
  Announce();
  return peer;
}

Peer* UpstreamGroup::TryPeerLocked(PeerSelection& selection, Peer* peer, uint64_t now_ms) {
  PeerSet& set = *selection.set;
  const KeptWeights kept(selection.dry, set.peers);
  peer = set.Own(peer);
  if (peer == nullptr) return nullptr;
  if (ConditionIn(selection, *peer, true, now_ms) != PeerCondition::kReady) return nullptr;
  // The method sees it as a bound one, so that it counts in round robin's weights.
  if (!set.single())
    set.balancer->Pick(peer->backup ? set.backups : set.primaries, selection, peer, now_ms);
  Account(selection, peer, now_ms);
  return GivesWay(selection, *peer) ? nullptr : peer;
}

Peer* UpstreamGroup::StandIn(const PeerSelection& selection, std::string_view session,
                             const Peer& home, bool only_ready, uint64_t now_ms) const {
  Peer* best = nullptr;
  double best_score = 0;
  for (Peer& peer : selection.set->peers) {
    if (best != nullptr && peer.backup && !best->backup) break;
    if (peer.server_id == home.server_id) continue;
    const PeerCondition condition = ConditionIn(selection, peer, false, now_ms);
    if (condition != PeerCondition::kReady && (only_ready || condition != PeerCondition::kFull))
      continue;
    const double score = StandInScore(session, peer.server_id, peer.weight());
    if (score > best_score) {
      best = &peer;
      best_score = score;
    }
  }
  return best;
}

Peer* UpstreamGroup::Account(PeerSelection& selection, Peer* peer, uint64_t now_ms) {
  if (selection.dry) return selection.current = peer;
  shm::PeerState& state = *peer->state;
  states_->AddConn(state, slot_);
  Increment(state.requests);
  state.selected_ms.store(now_ms, kRelaxed);
  selection.current = peer;
  if (selection.set->single()) return peer;
  selection.tried.Set(peer->index);
  const auto fail_timeout = static_cast<uint64_t>(peer->conf->fail_timeout.count());
  // One chance per fail_timeout for a peer that had failed: until this attempt is decided, others
  // stay away.
  shm::PeerStanding& standing = state.standing();
  if (Since(now_ms, standing.checked_ms.load(kRelaxed)) > fail_timeout) {
    standing.checked_ms.store(now_ms, kRelaxed);
  }
  BeginInflight(selection, now_ms);
  return peer;
}

PeerCondition UpstreamGroup::Condition(const PeerSelection& selection, const Peer& peer,
                                       bool bound_session, uint64_t now_ms) const {
  const Peer* const own = selection.set->Own(&peer);
  return own == nullptr ? PeerCondition::kDown
                        : ConditionIn(selection, *own, bound_session, now_ms);
}

// `peer` is of the selection's set.
PeerCondition UpstreamGroup::ConditionIn(const PeerSelection& selection, const Peer& peer,
                                         bool bound_session, uint64_t now_ms) {
  if (!selection.set->single()) {
    return selection.tried.Has(peer.index) ? PeerCondition::kDown
                                           : ConditionOf(peer, now_ms, bound_session);
  }
  if (peer.down()) return PeerCondition::kDown;
  if (peer.draining() && (!bound_session || peer.drain_is_over(now_ms)))
    return PeerCondition::kDrained;
  const auto limit = static_cast<uint32_t>(peer.conf->max_conns);
  return limit > 0 && peer.conns() >= limit ? PeerCondition::kFull : PeerCondition::kReady;
}

bool UpstreamGroup::AnyFull(const PeerSelection& selection, uint64_t now_ms) const {
  const std::vector<Peer>& peers = selection.set->peers;
  return std::any_of(peers.begin(), peers.end(), [&](const Peer& peer) {
    return ConditionIn(selection, peer, false, now_ms) == PeerCondition::kFull;
  });
}

void UpstreamGroup::AdoptDrains() {
  const shm::PeerStates::Guard guard(*states_);
  current_->AdoptDrains(*states_);
}

bool UpstreamGroup::Done(PeerSelection& selection, Outcome outcome, uint64_t now_ms,
                         const AttemptResult& result) {
  assert(selection.current != nullptr);
  const shm::PeerStates::Guard guard(*states_);
  EndOpening(selection);
  EndInflight(selection);
  Peer* const peer = std::exchange(selection.current, nullptr);
  states_->DropConn(*peer->state, slot_);
  CountResult(*peer->state, result);
  // Answers that were not used say nothing: a peer that fails quickly is not a quick one.
  if (outcome == Outcome::kOk) {
    if (!AveragesHeadsAtOnce(selection)) Average(peer->state->header_time_ms, result.header_ms);
    Average(peer->state->response_time_ms, result.response_ms);
  }
  if (outcome == Outcome::kStale) {
    selection.tried.Unset(peer->index);
    BeginMethod(selection);
    return false;
  }
  if (selection.set->single()) {
    selection.tries = 0;
    if (outcome == Outcome::kFailed) {
      CountFailure(*peer, now_ms);
    } else {
      ForgetFailures(*peer->state, now_ms);
    }
    return false;  // it goes on being asked
  }
  if (selection.tries > 0) --selection.tries;
  if (outcome == Outcome::kFailed) return CountFailure(*peer, now_ms);
  CountSuccess(*peer, now_ms);
  return false;
}

void UpstreamGroup::Answered(PeerSelection& selection, uint64_t now_ms, int64_t header_ms) {
  Peer& peer = *selection.current;
  const bool had_failed = peer.state->standing().fails.load(kRelaxed) != 0;
  const bool averages = AveragesHeadsAtOnce(selection);
  if (!had_failed && !averages) return;
  const shm::PeerStates::Guard guard(*states_);
  if (selection.set->single()) return ForgetFailures(*peer.state, now_ms);
  if (had_failed) CountSuccess(peer, now_ms);
  if (!averages) return;
  EndInflight(selection);
  Average(peer.state->header_time_ms, header_ms);
}

bool UpstreamGroup::CountFailure(Peer& peer, uint64_t now_ms) {
  shm::PeerState& state = *peer.state;
  shm::PeerStanding& standing = state.standing();
  // The other binary has a lock of its own (SIGUSR2).
  const uint32_t fails = standing.fails.fetch_add(1, kRelaxed) + 1;
  Increment(state.failed);
  standing.accessed_ms.store(now_ms, kRelaxed);
  standing.checked_ms.store(now_ms, kRelaxed);
  const int max_fails = peer.conf->max_fails;
  if (max_fails == 0) return false;
  const int effective = state.effective_weight.load(kRelaxed) - peer.weight() / max_fails;
  state.effective_weight.store(std::max(0, effective), kRelaxed);
  if (fails < static_cast<uint32_t>(max_fails)) return false;
  if (fails == static_cast<uint32_t>(max_fails)) Increment(state.unavailable);
  NoteDowntime(state, true, now_ms);
  return true;
}

// Failures are forgotten only by an attempt that began after the last one: answers to older
// requests prove nothing.
void UpstreamGroup::CountSuccess(Peer& peer, uint64_t now_ms) {
  shm::PeerStanding& standing = peer.state->standing();
  if (standing.accessed_ms.load(kRelaxed) >= standing.checked_ms.load(kRelaxed)) return;
  if (IsOverMaxFails(peer) && peer.conf->slow_start.count() > 0)
    standing.started_ms.store(now_ms, kRelaxed);
  ForgetFailures(*peer.state, now_ms);
}

}  // namespace limpet::worker
