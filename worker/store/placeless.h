// Sessions that the store has just told of and for which the zone has no place (it is full, and
// gives up none): where they live, for a second, so that a request that has asked for one goes
// there. A small table of one worker; where two keys meet the later one stays. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "shm/peer_directory.h"
#include "worker/store/record.h"

namespace limpet::worker {

class Placeless {
 public:
  static constexpr uint64_t kRememberedMs = 1'000;

  void Add(const StoreKey& key, uint16_t peer, uint64_t now_ms);
  void Forget(const StoreKey& key);  // it has changed meanwhile
  // Its place in the zone's list of servers; kNoPeer: it is not known.
  uint16_t Find(const StoreKey& key, uint64_t now_ms) const;

 private:
  static constexpr size_t kEntries = 1024;
  struct Entry {
    StoreKey key;
    uint64_t until_ms = 0;
    uint16_t peer = shm::kNoPeer;
  };
  std::vector<Entry> entries_;  // none before the first one
};

}  // namespace limpet::worker
