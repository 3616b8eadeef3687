#include "master/server_states.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>
#include <optional>

#include "base/clock.h"
#include "base/text.h"
#include "shm/resolved_peers.h"
#include "worker/worker.h"

namespace limpet::master {
namespace {

constexpr std::string_view kHead = "limpet servers 1\n";
constexpr size_t kFields = 5;
constexpr uint32_t kKept =
    shm::kPeerDown | shm::kPeerDraining | shm::kPeerDrained | shm::kPeerDrainKeeps;

struct Word {
  uint32_t flag;
  std::string_view word;
};
constexpr std::array kWords = std::to_array<Word>({{shm::kPeerDown, "down"},
                                                   {shm::kPeerDraining, "draining"},
                                                   {shm::kPeerDrained, "drained"},
                                                   {shm::kPeerDrainKeeps, "keeps"}});

std::string WordsOf(uint32_t flags) {
  std::string text;
  for (const Word& row : kWords) {
    if ((flags & row.flag) != 0) text += fmt::format("{}{}", text.empty() ? "" : ",", row.word);
  }
  return text.empty() ? "-" : text;
}

uint32_t FlagsOf(std::string_view words) {
  uint32_t flags = 0;
  for (const std::string_view word : Split(words, ',')) {
    const auto row = std::ranges::find(kWords, word, &Word::word);
    if (row != kWords.end()) flags |= row->flag;
  }
  return flags;
}

uint64_t ToWall(uint64_t until_ms) { return until_ms == 0 ? 0 : WallMsOfMonotonic(until_ms); }

// What is over stays over: it has no time before this clock began.
uint64_t FromWall(uint64_t wall_ms) {
  constexpr uint64_t kFarthest = std::numeric_limits<int64_t>::max() / 2;
  if (wall_ms == 0) return 0;
  return std::max<uint64_t>(1, MonotonicMsOfWall(std::min(wall_ms, kFarthest)));
}

std::string NameOf(const shm::ServerName& name) {
  return fmt::format("{} {} {}", name.host, name.service, name.port);
}

std::string AddressOf(const shm::ResolvedPeer& peer) {
  return fmt::format("{} {}", peer.address.ToString(), peer.target);
}

// Calls visit(name, address, state) for each server of an upstream whose states are shared. Where
// names give some of them, under the group's lock.
template <class Visit>
void ForEachServer(const conf::Upstream& upstream, shm::PeerStates& states, Visit visit) {
  const std::vector<std::string> identities = worker::PeerIdentities(upstream);
  for (size_t i = 0; i < identities.size(); ++i) visit(std::string(), identities[i], states[i]);
  if (states.resolved() == nullptr) return;
  const std::vector<shm::ServerName> names = worker::ResolvedNames(upstream);
  const shm::PeerStates::Guard guard(states);
  for (size_t i = 0; i < names.size(); ++i) {
    for (const auto& [peer, state] : states.resolved()->Peers(states.sources()[i])) {
      visit(NameOf(names[i]), AddressOf(peer), *state);
    }
  }
}

template <class Visit>
void ForEachUpstream(const conf::Config& config, const SharedMemory::View& view, Visit visit) {
  if (!config.http) return;
  for (const auto& upstream : config.http->upstreams) {
    shm::PeerStates* states = view.peer_states[static_cast<size_t>(upstream->index)].get();
    if (states != nullptr) visit(*upstream, *states);
  }
}

void Apply(const ServerState& kept, const Log& log, shm::PeerState& state) {
  shm::PeerStanding& standing = state.standing();
  standing.drain_until_ms = kept.until_ms;
  standing.drain_move = kept.move;
  standing.flags.fetch_or(kept.flags, std::memory_order_release);
  LIMPET_LOG(log, LogLevel::kNotice, "server {} of upstream \"{}\" is {} as it was before",
             kept.address, kept.upstream, kept.flags == 0 ? "draining" : WordsOf(kept.flags));
}

// The last field; an older binary did not write it.
uint32_t MoveOf(const std::vector<std::string_view>& fields) {
  const auto move = fields.size() > kFields ? ParseDecimal(fields[kFields]) : std::nullopt;
  return static_cast<uint32_t>(std::min<uint64_t>(move.value_or(0), INT32_MAX));
}

std::optional<ServerState> ParseLine(std::string_view line) {
  const auto fields = Split(line, '\t');
  if (fields.size() < kFields) return std::nullopt;
  const auto until = ParseDecimal(fields[4]);
  if (!until) return std::nullopt;
  return ServerState{.upstream = std::string(fields[0]),
                     .name = std::string(fields[1]),
                     .address = std::string(fields[2]),
                     .flags = FlagsOf(fields[3]),
                     .until_ms = FromWall(*until),
                     .move = MoveOf(fields)};
}

}  // namespace

std::string ServerStatesPath(const conf::Config& config) {
  return fmt::format("{}{}servers", config.state_path, config.state_path.ends_with('/') ? "" : "/");
}

ServerStates ReadServerStates(const conf::Config& config, const SharedMemory::View& view) {
  ServerStates all;
  ForEachUpstream(config, view, [&](const conf::Upstream& upstream, shm::PeerStates& states) {
    const auto add = [&](std::string name, const std::string& address,
                         const shm::PeerState& state) {
      const shm::PeerStanding& standing = state.standing();
      const uint32_t flags = standing.flags.load(std::memory_order_relaxed) & kKept;
      const uint64_t until = standing.drain_until_ms.load(std::memory_order_relaxed);
      if (flags != 0 || until != 0)
        all.push_back({upstream.name, std::move(name), address, flags, until,
                       standing.drain_move.load(std::memory_order_relaxed)});
    };
    ForEachServer(upstream, states, add);
  });
  return all;
}

std::string WriteServerStates(const ServerStates& states) {
  std::string text(kHead);
  for (const ServerState& state : states) {
    fmt::format_to(std::back_inserter(text), "{}\t{}\t{}\t{}\t{}\t{}\n", state.upstream, state.name,
                   state.address, WordsOf(state.flags), ToWall(state.until_ms), state.move);
  }
  return text;
}

ServerStates ParseServerStates(std::string_view text) {
  ServerStates states;
  if (!text.starts_with(kHead)) return states;
  for (const std::string_view line : Split(text.substr(kHead.size()), '\n')) {
    if (auto state = ParseLine(line)) states.push_back(std::move(*state));
  }
  return states;
}

void ApplyServerStates(const conf::Config& config, const SharedMemory::View& view, const Log& log,
                       ServerStates* kept) {
  ServerStates waiting;
  ForEachUpstream(config, view, [&](const conf::Upstream& upstream, shm::PeerStates& states) {
    const auto apply = [&](const std::string& name, const std::string& address,
                           shm::PeerState& state) {
      std::erase_if(*kept, [&](const ServerState& one) {
        const bool is_it =
            one.upstream == upstream.name && one.name == name && one.address == address;
        if (is_it) Apply(one, log, state);
        return is_it;
      });
    };
    ForEachServer(upstream, states, apply);
    const bool answered = states.AllNamesKnown();
    std::ranges::copy_if(*kept, std::back_inserter(waiting), [&](const ServerState& one) {
      return one.upstream == upstream.name && !one.name.empty() && !answered;
    });
  });
  *kept = std::move(waiting);
}

}  // namespace limpet::master
