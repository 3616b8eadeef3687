// Forgets, in the background, the sessions of servers that are no longer configured, where so many
// have come and gone that the directory's entries run out. For the process that collects.
//
// A session whose server has gone is worth keeping: it is bound to another server when it comes. So
// those of the servers that have been gone longest go first, and only as many as make a quarter of
// the entries free. A peer must have been retired for a whole period before.
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
  std::vector<uint16_t> due_;      // still to be swept, the last one first
  PeerWalk walk_;
};

}  // namespace limpet::shm
