// The shared states of the peers of all upstreams with `zone`, over all generations: which memory
// is whose, and what becomes of it when a generation or a worker has ended. Owned by the master.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "shm/peer_state.h"

namespace limpet::shm {

// Always: memory of a state is reused only when no PeerStates names it any more.
class PeerStateRegistry {
 public:
  PeerStateRegistry();
  ~PeerStateRegistry();  // after every PeerStates made from it
  PeerStateRegistry(const PeerStateRegistry&) = delete;
  PeerStateRegistry& operator=(const PeerStateRegistry&) = delete;

  // Finds or makes the states of an upstream's peers; `identities` differ from each other. Null if
  // memory is short.
  std::unique_ptr<PeerStates> Attach(const std::string& upstream,
                                     const std::vector<std::string>& identities);
  // With a place for `capacity` peers that `names` give at run time; see resolved_peers.h.
  std::unique_ptr<PeerStates> Attach(const std::string& upstream,
                                     const std::vector<std::string>& identities,
                                     const std::vector<ServerName>& names, uint32_t capacity);

  // Where both binaries of a limpet count; before the first Attach.
  void SetBook(PeerBook* book) { book_ = book; }
  // Before another binary is admitted to the book: it shall find what is in use, and nothing else.
  void TellUsedPlaces();

  // A worker that used this slot has ended: the connections it counted are none. False: a group is
  // locked by a process that stands still; to be called again.
  [[nodiscard]] bool ForgetWorker(int slot);

 private:
  friend class PeerStates;
  struct Arena;
  struct Entry;
  struct Group;
  void ForgetWorkerIn(Group& group, int slot);
  void Release(PeerStates& states);
  void CollectPlaces();
  std::vector<const std::atomic<uint32_t>*> Places(bool in_use_only) const;

  PeerBook* book_ = nullptr;
  std::unique_ptr<Arena> arena_;
  std::map<std::string, std::unique_ptr<Group>> groups_;  // by upstream name
  uint64_t last_number_ = 0;
};

}  // namespace limpet::shm
