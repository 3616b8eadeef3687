#include "worker/upstream/peer_set.h"

#include <algorithm>
#include <functional>
#include <tuple>
#include <utility>

#include "base/clock.h"
#include "base/hash.h"
#include "shm/resolved_peers.h"
#include "worker/upstream/methods.h"

namespace limpet::worker {
namespace {

constexpr int kSlowStartSteps = 100;

// Of one name, in an order that all workers find alike, and again after a restart: the methods that
// go by position place keys by it.
std::vector<shm::ResolvedPeers::Entry> SortedPeers(shm::ResolvedPeers& resolved, uint32_t source) {
  auto entries = resolved.Peers(source);
  std::ranges::sort(entries, {}, [](const shm::ResolvedPeers::Entry& entry) {
    const SocketAddress& address = entry.peer.address;
    return std::tuple(address.family(), std::string(address.ip_bytes()), address.port(),
                      entry.peer.target);
  });
  return entries;
}

// The deadline of `drain=TIME` begins with the first load that says so; a server that the
// configuration no longer drains starts over, but not while another binary runs, whose
// configuration may drain it.
void AdoptDrain(const conf::UpstreamServer& server, shm::PeerStanding& standing, bool is_alone) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  const uint32_t flags = standing.flags.load(kRelaxed);
  if (!server.drain && (flags & shm::kPeerDraining) == 0) {
    const bool is_left =
        (flags & shm::kPeerDrained) != 0 || standing.drain_until_ms.load(kRelaxed) != 0;
    if (is_left && is_alone) shm::EndDrain(standing);
    return;
  }
  if (!server.drain || server.drain_timeout.count() == 0) return;
  if ((flags & shm::kPeerDraining) != 0) return;  // whoever drains it by hand says until when
  shm::SetDrainKeeps(standing, server.drain_keeps);
  uint64_t none = 0;
  standing.drain_until_ms.compare_exchange_strong(
      none, MonotonicMs() + static_cast<uint64_t>(server.drain_timeout.count()));
}

}  // namespace

void AddressIds::ForgetOthersThan(const std::vector<Peer>& peers) {
  std::unordered_map<std::string, int> kept;
  for (const Peer& peer : peers) kept.emplace(peer.name, peer.address_id);
  ids_ = std::move(kept);
}

std::string ServerId(const conf::UpstreamServer& server, const std::string& address,
                     const std::string& target) {
  if (!server.route.empty()) return server.route;
  return Md5Hex(target.empty() ? address : target + "/" + address);
}

std::string ClientId(const Peer& peer) {
  const bool is_told_apart = !peer.target.empty() && peer.conf->route.empty();
  return is_told_apart ? Md5Hex(peer.name) : peer.server_id;
}

PeerSet::PeerSet(const conf::Upstream& conf, shm::PeerStates& states, AddressIds& ids,
                 const SessionCounts* const* counts)
    : ids_(ids) {
  if (states.resolved() != nullptr) version = states.resolved()->version();
  AddServers(conf, states, false);
  const size_t first_backup = peers.size();
  AddServers(conf, states, true);
  AttachStates(states);
  for (Peer& peer : peers) peer.needs_check = conf.mandatory;
  if (!conf.mandatory && states.is_newest()) {
    for (Peer& peer : peers) peer.state->RaisePassed(shm::PeerState::kPassedBefore);
  }
  primaries = MakeTier(0, first_backup);
  backups = MakeTier(first_backup, peers.size());
  balancer = MakeBalancer({conf, primaries, counts});
}

void PeerSet::AddServers(const conf::Upstream& conf, shm::PeerStates& states, bool want_backups) {
  size_t state = 0;  // states hold the configured peers in this very order: primaries first
  for (const conf::UpstreamServer& server : conf.servers) {
    if (want_backups && !server.backup) state += server.addresses.size();
  }
  size_t name = 0;
  for (const conf::UpstreamServer& server : conf.servers) {
    if (server.backup == want_backups) {
      for (const SocketAddress& address : server.addresses) {
        Add(server, {.address = address,
                     .server = server.name,
                     .state = &states[state++],
                     .backup = want_backups});
      }
    }
    if (!server.is_resolved() || states.resolved() == nullptr) continue;
    for (auto& [peer, at] : SortedPeers(*states.resolved(), states.sources()[name])) {
      if ((server.backup || peer.backup) != want_backups) continue;
      const bool own_weight = server.weight != 1;
      Add(server, {.address = peer.address,
                   .server = peer.target.empty() ? server.name : peer.target,
                   .target = peer.target,
                   .state = at,
                   .backup = want_backups,
                   .record_weight = own_weight ? 0 : static_cast<int>(peer.weight)});
    }
    ++name;
  }
}

void PeerSet::Add(const conf::UpstreamServer& server, Peer peer) {
  peer.name = peer.address.ToString();
  peer.server_id = ServerId(server, peer.name, peer.target);
  peer.conf = &server;
  peer.occupant = peer.state->occupant.load(std::memory_order_relaxed);
  peer.index = static_cast<int>(peers.size());
  peer.address_id = ids_.IdOf(peer.name);
  const auto [known, is_new] = by_server_id_.emplace(peer.server_id, peer.index);
  if (!is_new && peer.backup) {
    Peer& first = peers[static_cast<size_t>(known->second)];
    if (!first.backup && first.backup_twin < 0) first.backup_twin = peer.index;
  }
  by_server_id_.emplace(ClientId(peer), peer.index);
  by_state_.emplace(peer.state, peer.index);
  if (!server.down && !server.drain) ++initial_tries;
  peers.push_back(std::move(peer));
}

void PeerSet::AttachStates(shm::PeerStates& states) {
  std::unordered_map<std::string, int> seen;  // an address that is there twice is two peers
  for (Peer& peer : peers) {
    shm::PeerState& state = *peer.state;
    const std::string identity = peer.target + "/" + peer.name;
    peer.elsewhere = states.Share(state, identity + "#" + std::to_string(seen[identity]++));
    const int weight = peer.weight();
    if (state.weight.exchange(weight) == weight) continue;  // kept from what was before
    state.effective_weight = weight;
    state.current_weight = 0;
  }
  AdoptDrains(states);
}

void PeerSet::AdoptDrains(shm::PeerStates& states) {
  if (!states.is_newest()) return;
  const bool is_alone = !states.has_other_binary();
  for (Peer& peer : peers) {
    if (peer.is_in_place()) AdoptDrain(*peer.conf, peer.state->standing(), is_alone);
  }
}

Tier PeerSet::MakeTier(size_t begin, size_t end) {
  Tier tier;
  tier.peers = std::span(peers).subspan(begin, end - begin);
  for (const Peer& peer : tier.peers) {
    tier.total_weight = Saturated(int64_t{tier.total_weight} + peer.weight());
    tier.ends.push_back((tier.ends.empty() ? 0 : tier.ends.back()) + peer.weight());
    if (peer.conf->slow_start.count() > 0) tier.weight_scale = kSlowStartSteps;
  }
  return tier;
}

Peer* PeerSet::FindByServerId(std::string_view server_id) {
  const auto found = by_server_id_.find(server_id);
  return found == by_server_id_.end() ? nullptr : &peers[static_cast<size_t>(found->second)];
}

Peer* PeerSet::Own(const Peer* peer) {
  if (peer == nullptr) return nullptr;
  const std::less<const Peer*> before;
  if (!before(peer, peers.data()) && before(peer, peers.data() + peers.size()))
    return &peers[static_cast<size_t>(peer - peers.data())];
  const auto at = by_state_.find(peer->state);
  if (at == by_state_.end()) return nullptr;
  Peer& mine = peers[static_cast<size_t>(at->second)];
  return mine.address == peer->address && mine.server_id == peer->server_id ? &mine : nullptr;
}

void PeerSet::MarkGone(PeerSet& now) {
  for (Peer& peer : peers) peer.gone |= now.Own(&peer) == nullptr;
}

}  // namespace limpet::worker
