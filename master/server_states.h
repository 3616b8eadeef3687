// What an operator has done to servers at run time: who is drained and until when, who is down.
// Kept as a file in state_path, so that a server in maintenance gets no traffic after a restart or
// a reboot. (A binary that replaces another is told more: see peer_memory.h.)
//
// The file is a text, one server a line, times by the wall clock. What is not understood, or not
// configured any more, is passed over.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "conf/config.h"
#include "master/shared_memory.h"

namespace limpet::master {

struct ServerState {
  std::string upstream;
  std::string name;       // of a peer that a name has given: what is asked for; else ""
  std::string address;    // of such a peer; else what names it in shared states
  uint32_t flags = 0;     // shm::PeerFlag
  uint64_t until_ms = 0;  // of a drain, MonotonicMs; 0: it has no end
  uint32_t move = 0;      // of a drain: PeerStanding::drain_move

  bool operator==(const ServerState&) const = default;
};
using ServerStates = std::vector<ServerState>;

std::string ServerStatesPath(const conf::Config& config);

// Of all servers that are not as configured. May throw shm::LockBusy.
ServerStates ReadServerStates(const conf::Config& config, const SharedMemory::View& view);

std::string WriteServerStates(const ServerStates& states);
ServerStates ParseServerStates(std::string_view text);

// Applies what can be applied, and says so. What waits for peers that a name has not given yet
// stays in `states`, to be applied later. May throw shm::LockBusy.
void ApplyServerStates(const conf::Config& config, const SharedMemory::View& view, const Log& log,
                       ServerStates* states);

}  // namespace limpet::master
