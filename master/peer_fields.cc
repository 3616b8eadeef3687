#include "master/peer_fields.h"

#include <fmt/format.h>

#include <iterator>
#include <optional>
#include <type_traits>
#include <vector>

#include "base/text.h"

namespace limpet::master {
namespace {

constexpr uint32_t kToldFlags = shm::kPeerDown | shm::kPeerDraining | shm::kPeerUnhealthy |
                                shm::kPeerDrained | shm::kPeerDrainKeeps;

// The fields in their order, which never changes: new ones come last. Connections are not told:
// they are of the processes that have them.
template <class State, class Visit>
void ForEachField(State& state, Visit visit) {
  auto& standing = state.standing();
  visit(standing.flags);
  visit(standing.fails);
  visit(standing.accessed_ms);
  visit(standing.checked_ms);
  visit(standing.started_ms);
  visit(standing.drain_until_ms);
  visit(standing.failing_checks);  // so far binaries that know no more

  visit(state.requests);
  visit(state.failed);
  visit(state.unavailable);
  visit(state.downtime_ms);
  visit(state.header_time_ms);
  visit(state.response_time_ms);
  visit(state.probes);
  visit(state.failed_probes);
  visit(state.unhealthy);
  for (auto& responses : state.responses) visit(responses);
  visit(state.sent);
  visit(state.received);
  visit(state.weight);
  visit(state.current_weight);
  visit(state.effective_weight);
  visit(standing.drain_move);  // so far binaries before it
  visit(state.passed);         // and so far these
  visit(state.down_since_ms);
  visit(state.selected_ms);
  for (auto& place : state.codes.places) visit(place);
}

// Of a signed number as well as of one without a sign, in two's complement.
std::optional<uint64_t> ParseNumber(std::string_view text) {
  const bool negative = text.starts_with('-');
  const auto value = ParseDecimal(text.substr(negative ? 1 : 0));
  if (!value) return std::nullopt;
  return negative ? uint64_t{0} - *value : *value;
}

// An older binary does not say whether mandatory checks have passed. Where they had not, it has
// given the peer no request.
bool WasInService(const shm::PeerState& state) {
  const bool unhealthy = (state.standing().flags.load() & shm::kPeerUnhealthy) != 0;
  return state.requests.load() > 0 && !unhealthy;
}

}  // namespace

std::string TellPeerState(const shm::PeerState& state) {
  std::string out;
  ForEachField(state, [&](const auto& field) {
    auto told = field.load(std::memory_order_relaxed);
    if constexpr (std::is_same_v<decltype(told), uint32_t>) {
      if (&field == &state.standing().flags) told &= kToldFlags;
    }
    fmt::format_to(std::back_inserter(out), "{}{}", out.empty() ? "" : "\t", told);
  });
  return out;
}

// The machine has not been restarted in between: its monotonic times mean the same.
void RecallPeerState(std::span<const std::string_view> fields, shm::PeerState& state) {
  if (fields.size() < kLeastPeerFields) return;
  std::vector<uint64_t> values;
  for (const std::string_view field : fields) {
    const auto value = ParseNumber(field);
    if (!value) return;
    values.push_back(*value);
  }
  size_t i = 0;
  bool was_told = false;
  ForEachField(state, [&](auto& field) {
    if (i >= values.size()) return;
    using Number = typename std::remove_reference_t<decltype(field)>::value_type;
    field = static_cast<Number>(values[i++]);
    was_told |= static_cast<const void*>(&field) == &state.passed;
  });
  state.standing().flags &= kToldFlags;
  if (was_told ? state.HasPassed() : WasInService(state))
    state.passed = shm::PeerState::kPassedBefore;
}

}  // namespace limpet::master
