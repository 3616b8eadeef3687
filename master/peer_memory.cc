#include "master/peer_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/text.h"
#include "master/peer_fields.h"
#include "shm/resolved_peers.h"
#include "worker/worker.h"

namespace limpet::master {
namespace {

// A line's fields, with tabs between them:
//   configured  UPSTREAM IDENTITY  and the state's (peer_fields.h)
//   resolved    UPSTREAM HOST SERVICE PORT ADDRESS TARGET WEIGHT BACKUP  and the state's
constexpr std::string_view kConfigured = "configured";
constexpr std::string_view kResolved = "resolved";
constexpr size_t kConfiguredFields = 3;
constexpr size_t kResolvedFields = 9;

using Fields = std::vector<std::string_view>;

void RecallState(const Fields& fields, size_t from, shm::PeerState& state) {
  RecallPeerState(std::span(fields).subspan(from), state);
}

// What names an upstream's server that is resolved.
std::string NameOf(const shm::ServerName& name) {
  return fmt::format("{}\t{}\t{}", name.host, name.service, name.port);
}

void TellResolved(const conf::Upstream& upstream, shm::PeerStates& states, std::string* out) {
  const std::vector<shm::ServerName> names = worker::ResolvedNames(upstream);
  const shm::PeerStates::Guard guard(states);
  for (size_t i = 0; i < names.size(); ++i) {
    for (const auto& [peer, state] : states.resolved()->Peers(states.sources()[i])) {
      fmt::format_to(std::back_inserter(*out), "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", kResolved,
                     upstream.name, NameOf(names[i]), peer.address.ToString(), peer.target,
                     peer.weight, peer.backup ? 1 : 0, TellPeerState(*state));
    }
  }
}

std::optional<shm::ResolvedPeer> ParsePeer(const Fields& fields) {
  auto address = SocketAddress::Parse(fields[5], 0);
  const auto weight = ParseDecimal(fields[7]);
  if (!address || address->is_unix() || !weight) return std::nullopt;  // names give no paths
  return shm::ResolvedPeer{.address = *address,
                           .target = std::string(fields[6]),
                           .weight = static_cast<uint32_t>(*weight),
                           .backup = fields[8] == "1"};
}

// `lines` are those of one name of the configuration.
void RecallName(const std::vector<Fields>& lines, uint32_t source, shm::PeerStates& states) {
  std::vector<shm::ResolvedPeer> peers;
  std::vector<const Fields*> told;
  for (const Fields& fields : lines) {
    if (auto peer = ParsePeer(fields)) {
      peers.push_back(std::move(*peer));
      told.push_back(&fields);
    }
  }
  const shm::PeerStates::Guard guard(states);
  states.resolved()->Replace(source, peers);
  for (const auto& [peer, state] : states.resolved()->Peers(source)) {
    const auto found = std::ranges::find(peers, peer);
    if (found != peers.end())
      RecallState(*told[static_cast<size_t>(found - peers.begin())], kResolvedFields, *state);
  }
}

struct Told {
  std::map<std::string, Fields, std::less<>> configured;             // by upstream and identity
  std::map<std::string, std::vector<Fields>, std::less<>> resolved;  // by upstream and name
};

Told Parse(std::string_view text) {
  Told told;
  for (const std::string_view line : Split(text, '\n')) {
    Fields fields = Split(line, '\t');
    if (fields[0] == kConfigured && fields.size() >= kConfiguredFields + kLeastPeerFields) {
      told.configured[fmt::format("{}\t{}", fields[1], fields[2])] = std::move(fields);
    } else if (fields[0] == kResolved && fields.size() >= kResolvedFields + kLeastPeerFields) {
      told.resolved[fmt::format("{}\t{}\t{}\t{}", fields[1], fields[2], fields[3], fields[4])]
          .push_back(std::move(fields));
    }
  }
  return told;
}

void RecallUpstream(const Told& told, const conf::Upstream& upstream, shm::PeerStates& states) {
  const std::vector<std::string> identities = worker::PeerIdentities(upstream);
  for (size_t i = 0; i < identities.size(); ++i) {
    const auto found = told.configured.find(fmt::format("{}\t{}", upstream.name, identities[i]));
    if (found != told.configured.end()) RecallState(found->second, kConfiguredFields, states[i]);
  }
  const std::vector<shm::ServerName> names = worker::ResolvedNames(upstream);
  for (size_t i = 0; i < names.size(); ++i) {
    const auto found = told.resolved.find(fmt::format("{}\t{}", upstream.name, NameOf(names[i])));
    if (found != told.resolved.end()) RecallName(found->second, states.sources()[i], states);
  }
}

}  // namespace

std::string TellPeers(const conf::Config& config, const SharedMemory::View& view) {
  std::string out;
  if (!config.http) return out;
  for (const auto& upstream : config.http->upstreams) {
    const auto& states = view.peer_states[static_cast<size_t>(upstream->index)];
    if (states == nullptr) continue;
    const std::vector<std::string> identities = worker::PeerIdentities(*upstream);
    for (size_t i = 0; i < identities.size(); ++i) {
      fmt::format_to(std::back_inserter(out), "{}\t{}\t{}\t{}\n", kConfigured, upstream->name,
                     identities[i], TellPeerState((*states)[i]));
    }
    if (states->resolved() != nullptr) TellResolved(*upstream, *states, &out);
  }
  return out;
}

void RecallPeers(std::string_view told, const conf::Config& config,
                 const SharedMemory::View& view) {
  if (told.empty() || !config.http) return;
  const Told parsed = Parse(told);
  for (const auto& upstream : config.http->upstreams) {
    const auto& states = view.peer_states[static_cast<size_t>(upstream->index)];
    if (states != nullptr) RecallUpstream(parsed, *upstream, *states);
  }
}

}  // namespace limpet::master
