// Forgets, in the background, the sessions of servers that are no longer configured, so that their
// slots and directory entries come back. For the process that collects.
//
// A peer must have been retired for a whole period first: a server that is taken out and put back
// finds its sessions again.
#pragma once

#include <cstdint>
#include <vector>

#include "shm/session_table.h"

namespace limpet::shm {

class PeerSweep {
 public:
  // Begins a period's work: the peers that were retired already when the last one began.
  void Begin(const SessionTable& table);

  // One step, holding one shard's lock for some tens of microseconds at most. True: there is more.
  bool Step(SessionTable* table, uint64_t now_ms);

 private:
  std::vector<uint16_t> retired_;  // seen by the last Begin()
  std::vector<uint16_t> due_;      // still to be swept; the last one is being
  PeerWalk walk_;
};

}  // namespace limpet::shm
