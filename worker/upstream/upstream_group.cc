#include "worker/upstream/upstream_group.h"

#include <fmt/core.h>

#include <algorithm>
#include <cassert>
#include <map>
#include <utility>

#include "base/clock.h"
#include "base/hash.h"

namespace limpet::worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr int kSlowStartSteps = 100;

template <class T>
void Increment(std::atomic<T>& field) {
  field.store(field.load(kRelaxed) + 1, kRelaxed);
}

// What status pages say of a peer. Under the group's lock: nobody else writes.
void CountResult(shm::PeerState& state, const AttemptResult& result) {
  if (result.status >= 100 && result.status < 600)
    Increment(state.responses[static_cast<size_t>(result.status / 100 - 1)]);
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
      kept_.push_back({&s, s.current_weight, s.effective_weight, s.started_ms});
    }
  }
  ~KeptWeights() {
    for (const Kept& kept : kept_) {
      kept.state->current_weight = kept.current;
      kept.state->effective_weight = kept.effective;
      kept.state->started_ms = kept.started_ms;
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

// Calls visit(server, address) for primaries, then for backups, in the order of configuration.
template <class Visit>
void ForEachPeer(const conf::Upstream& conf, const Visit& visit) {
  for (const bool backup : {false, true}) {
    for (const conf::UpstreamServer& server : conf.servers) {
      if (server.backup != backup) continue;
      for (const SocketAddress& address : server.addresses) visit(server, address);
    }
  }
}

// The deadline of `drain=TIME` begins with the first load that says so; a server that the
// configuration no longer drains starts over.
void AdoptDrain(const conf::UpstreamServer& server, shm::PeerState& state) {
  const uint32_t flags = state.flags.load(kRelaxed);
  if (!server.drain && (flags & shm::kPeerDraining) == 0) {
    const bool is_left =
        (flags & shm::kPeerDrained) != 0 || state.drain_until_ms.load(kRelaxed) != 0;
    if (is_left) shm::EndDrain(state);
    return;
  }
  if (!server.drain || server.drain_timeout.count() == 0) return;
  uint64_t none = 0;
  state.drain_until_ms.compare_exchange_strong(
      none, MonotonicMs() + static_cast<uint64_t>(server.drain_timeout.count()));
}

std::string ServerId(const conf::UpstreamServer& server, const std::string& peer_name) {
  return server.route.empty() ? Md5Hex(peer_name) : server.route;
}

}  // namespace

std::vector<std::string> UpstreamGroup::ServerIds(const conf::Upstream& conf) {
  std::vector<std::string> ids;
  ForEachPeer(conf, [&](const conf::UpstreamServer& server, const SocketAddress& address) {
    ids.push_back(ServerId(server, address.ToString()));
  });
  return ids;
}

std::vector<std::string> UpstreamGroup::PeerIdentities(const conf::Upstream& conf) {
  std::vector<std::string> identities;
  std::map<std::string, int> seen;  // the same address may be written twice: two peers
  ForEachPeer(conf, [&](const conf::UpstreamServer&, const SocketAddress& address) {
    std::string name = address.ToString();
    const int times = seen[name]++;
    identities.push_back(times == 0 ? name : fmt::format("{}#{}", name, times));
  });
  return identities;
}

UpstreamGroup::UpstreamGroup(const conf::Upstream& conf, shm::PeerStates* states, int slot)
    : conf_(conf), slot_(slot), states_(states) {
  MakePeers();
  AttachStates();
  const auto first_backup = static_cast<size_t>(
      std::count_if(peers_.begin(), peers_.end(), [](const Peer& peer) { return !peer.backup; }));
  primaries_ = MakeTier(0, first_backup);
  backups_ = MakeTier(first_backup, peers_.size());
  balancer_ = MakeBalancer();
}

void UpstreamGroup::MakePeers() {
  ForEachPeer(conf_, [this](const conf::UpstreamServer& server, const SocketAddress& address) {
    Peer peer;
    peer.address = address;
    peer.name = address.ToString();
    peer.server = server.name;
    peer.server_id = ServerId(server, peer.name);
    peer.conf = &server;
    peer.index = peer.address_id = static_cast<int>(peers_.size());
    peer.backup = server.backup;
    const auto same = std::find_if(peers_.begin(), peers_.end(),
                                   [&](const Peer& other) { return other.name == peer.name; });
    if (same != peers_.end()) peer.address_id = same->index;
    const auto [known, is_new] = by_server_id_.emplace(peer.server_id, peer.index);
    if (!is_new && peer.backup) {
      Peer& first = peers_[static_cast<size_t>(known->second)];
      if (!first.backup && first.backup_twin < 0) first.backup_twin = peer.index;
    }
    if (!server.down && !server.drain) ++initial_tries_;
    peers_.push_back(std::move(peer));
  });
}

void UpstreamGroup::AttachStates() {
  if (states_ == nullptr) {
    own_states_ = shm::PeerStates::Private(peers_.size());
    states_ = own_states_.get();
  }
  assert(states_->size() == peers_.size());
  const shm::PeerStates::Guard guard(*states_);
  for (size_t i = 0; i < peers_.size(); ++i) {
    shm::PeerState& state = (*states_)[i];
    peers_[i].state = &state;
    AdoptDrain(*peers_[i].conf, state);
    const int weight = peers_[i].weight();
    if (state.weight.exchange(weight) == weight) continue;  // kept from the generation before
    state.effective_weight = weight;
    state.current_weight = 0;
  }
}

Tier UpstreamGroup::MakeTier(size_t begin, size_t end) {
  Tier tier;
  tier.peers = std::span(peers_).subspan(begin, end - begin);
  for (const Peer& peer : tier.peers) {
    tier.total_weight += peer.weight();
    if (peer.conf->slow_start.count() > 0) tier.weight_scale = kSlowStartSteps;
  }
  return tier;
}

std::unique_ptr<Balancer> UpstreamGroup::MakeBalancer() {
  using Method = conf::BalanceMethod;
  switch (conf_.method) {
    case Method::kRoundRobin:
      return MakeRoundRobin();
    case Method::kLeastConn:
      return MakeLeastConn();
    case Method::kLeastTime:
      return MakeLeastTime(conf_.least_time_last_byte);
    case Method::kLeastSessions:
      return MakeLeastSessions(&session_counts_);
    case Method::kRandom:
      return MakeRandom();
    case Method::kRandomTwoLeastConn:
      return MakeRandomTwo();
    case Method::kHash:
      return MakeHash();
    case Method::kHashConsistent:
      return MakeHashConsistent(primaries_);
    case Method::kIpHash:
      return MakeIpHash();
  }
  return MakeRoundRobin();
}

bool UpstreamGroup::needs_key() const {
  return conf_.method == conf::BalanceMethod::kHash ||
         conf_.method == conf::BalanceMethod::kHashConsistent;
}

void UpstreamGroup::Begin(PeerSelection& selection, std::string_view key,
                          const SocketAddress* client) const {
  selection.key = key;
  selection.client = client;
  selection.tried.Reset(peers_.size());
  selection.current = nullptr;
  selection.tries = initial_tries_;
  selection.on_backup = false;
  selection.lookups = 0;
  selection.rehash = selection.hash = 0;
  selection.prepared = false;
}

Peer* UpstreamGroup::Choose(PeerSelection& selection, Peer* bound, uint64_t now_ms) {
  assert(selection.current == nullptr);
  const shm::PeerStates::Guard guard(*states_);
  const KeptWeights kept(selection.dry, peers_);
  if (single()) {
    // The only peer is never given up for its failures: there is nowhere else to go.
    Peer& peer = peers_.front();
    if (Condition(selection, peer, bound == &peer, now_ms) != PeerCondition::kReady) return nullptr;
    return Account(selection, &peer, now_ms);
  }
  Peer* peer = PickFromTiers(selection, bound, now_ms);
  return peer == nullptr ? nullptr : Account(selection, peer, now_ms);
}

Peer* UpstreamGroup::PickFromTiers(PeerSelection& selection, Peer* bound, uint64_t now_ms) {
  // A session belongs to a server id: where primaries have failed, a backup with the same id may
  // have it.
  const auto in_tier = [&](bool backup) -> Peer* {
    if (bound == nullptr || bound->backup == backup) return bound;
    return backup && bound->backup_twin >= 0 ? &peers_[static_cast<size_t>(bound->backup_twin)]
                                             : nullptr;
  };
  if (!selection.on_backup) {
    if (Peer* peer = balancer_->Pick(primaries_, selection, in_tier(false), now_ms)) return peer;
    if (backups_.peers.empty()) return nullptr;
    selection.on_backup = true;
  }
  return balancer_->Pick(backups_, selection, in_tier(true), now_ms);
}

Peer* UpstreamGroup::TryPeer(PeerSelection& selection, Peer* peer, uint64_t now_ms) {
  assert(selection.current == nullptr);
  const shm::PeerStates::Guard guard(*states_);
  const KeptWeights kept(selection.dry, peers_);
  if (Condition(selection, *peer, true, now_ms) != PeerCondition::kReady) return nullptr;
  if (single()) return Account(selection, peer, now_ms);
  // The method sees it as a bound one, so that it counts in round robin's weights.
  balancer_->Pick(peer->backup ? backups_ : primaries_, selection, peer, now_ms);
  return Account(selection, peer, now_ms);
}

Peer* UpstreamGroup::Account(PeerSelection& selection, Peer* peer, uint64_t now_ms) {
  if (selection.dry) return selection.current = peer;
  shm::PeerState& state = *peer->state;
  shm::PeerStates::AddConn(state, slot_);
  Increment(state.requests);
  selection.current = peer;
  if (single()) return peer;
  selection.tried.Set(peer->index);
  const auto fail_timeout = static_cast<uint64_t>(peer->conf->fail_timeout.count());
  // One chance per fail_timeout for a peer that had failed: until this attempt is decided, others
  // stay away.
  if (now_ms - state.checked_ms.load(kRelaxed) > fail_timeout) {
    state.checked_ms.store(now_ms, kRelaxed);
  }
  return peer;
}

PeerCondition UpstreamGroup::Condition(const PeerSelection& selection, const Peer& peer,
                                       bool bound_session, uint64_t now_ms) const {
  if (!single()) {
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
  return std::any_of(peers_.begin(), peers_.end(), [&](const Peer& peer) {
    return Condition(selection, peer, false, now_ms) == PeerCondition::kFull;
  });
}

void UpstreamGroup::RequireChecks(uint64_t generation) {
  if (!conf_.mandatory) return;
  for (Peer& peer : peers_) {
    peer.needs_check = conf_.persistent ? 1 : static_cast<uint32_t>(generation);
  }
}

bool UpstreamGroup::Done(PeerSelection& selection, Outcome outcome, uint64_t now_ms,
                         const AttemptResult& result) {
  Peer* const peer = std::exchange(selection.current, nullptr);
  assert(peer != nullptr);
  const shm::PeerStates::Guard guard(*states_);
  shm::PeerStates::DropConn(*peer->state, slot_);
  CountResult(*peer->state, result);
  Average(peer->state->header_time_ms, result.header_ms);
  Average(peer->state->response_time_ms, result.response_ms);
  if (single()) {
    peer->state->fails.store(0, kRelaxed);
    if (outcome == Outcome::kFailed) Increment(peer->state->failed);
    selection.tries = 0;
    return false;
  }
  if (selection.tries > 0) --selection.tries;
  if (outcome == Outcome::kFailed) return CountFailure(*peer, now_ms);
  CountSuccess(*peer, now_ms);
  return false;
}

bool UpstreamGroup::CountFailure(Peer& peer, uint64_t now_ms) {
  shm::PeerState& state = *peer.state;
  Increment(state.fails);
  Increment(state.failed);
  state.accessed_ms.store(now_ms, kRelaxed);
  state.checked_ms.store(now_ms, kRelaxed);
  const int max_fails = peer.conf->max_fails;
  if (max_fails == 0) return false;
  const int effective = state.effective_weight.load(kRelaxed) - peer.weight() / max_fails;
  state.effective_weight.store(std::max(0, effective), kRelaxed);
  const uint32_t fails = state.fails.load(kRelaxed);
  if (fails == static_cast<uint32_t>(max_fails)) Increment(state.unavailable);
  return fails >= static_cast<uint32_t>(max_fails);
}

// Failures are forgotten only by an attempt that began after the last one: answers to older
// requests prove nothing.
void UpstreamGroup::CountSuccess(Peer& peer, uint64_t now_ms) {
  shm::PeerState& state = *peer.state;
  if (state.accessed_ms.load(kRelaxed) >= state.checked_ms.load(kRelaxed)) return;
  const auto max_fails = static_cast<uint32_t>(peer.conf->max_fails);
  const bool was_out = max_fails > 0 && state.fails.load(kRelaxed) >= max_fails;
  if (was_out && peer.conf->slow_start.count() > 0) state.started_ms.store(now_ms, kRelaxed);
  state.fails.store(0, kRelaxed);
}

Peer* UpstreamGroup::FindByServerId(std::string_view server_id) {
  const auto found = by_server_id_.find(server_id);
  return found == by_server_id_.end() ? nullptr : &peers_[static_cast<size_t>(found->second)];
}

}  // namespace limpet::worker
