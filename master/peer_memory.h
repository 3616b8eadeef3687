// What a master tells the binary that is to replace it of the servers behind it: their failures,
// drains, health, weights and counters, and the peers that names have given. Without it a drained
// server would be given sessions again, and names would have no peers until they have been asked
// for.
//
// It is a copy, taken when the new binary is started: figures are counted apart from then on. What
// decides whether a peer is in service is one for both (shm/peer_standing.h); what is said of it
// here is for a binary that cannot go on with the old one's memory of it. A text, one peer a line,
// so that binaries of different versions understand each other: a line or a field that one does not
// know is passed over.
#pragma once

#include <string>
#include <string_view>

#include "conf/config.h"
#include "master/shared_memory.h"

namespace limpet::master {

std::string TellPeers(const conf::Config& config, const SharedMemory::View& view);

// Before there are workers. What the configuration does not know any more is passed over.
void RecallPeers(std::string_view told, const conf::Config& config, const SharedMemory::View& view);

}  // namespace limpet::master
