// What is known of one server, as fields of a line of text: the tail of the lines of peer_memory.h.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "shm/peer_state.h"

namespace limpet::master {

// So many fields the oldest binaries write; newer ones have more behind them.
inline constexpr size_t kLeastPeerFields = 7;

// With tabs between the fields.
std::string TellPeerState(const shm::PeerState& state);

// Takes what there is: an older binary says less, and of a newer one what comes last is passed
// over. Nothing is taken from fields that are no numbers, or too few. Before there are workers.
void RecallPeerState(std::span<const std::string_view> fields, shm::PeerState& state);

}  // namespace limpet::master
