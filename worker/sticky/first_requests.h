// sticky_first: the first requests of a client's connection, which bring no session. While one of
// them is at a server and has not been answered, others of that connection go there too: each could
// begin a session of its own elsewhere, and the client would keep the last one's cookie.
//
// One per upstream and worker. O(1), nothing is allocated while `sticky_first` is off.
#pragma once

#include <chrono>
#include <cstdint>
#include <unordered_map>

#include "worker/upstream/peer_set.h"

namespace limpet::worker {

class FirstRequests {
 public:
  // A request that is at a server. Destroying it leaves.
  class Member {
   public:
    Member() = default;
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;
    ~Member() { Leave(); }
    void Leave();  // it has been answered, or has failed
    bool joined() const { return requests_ != nullptr; }

   private:
    friend class FirstRequests;
    FirstRequests* requests_ = nullptr;
    uint64_t client_ = 0;
    uint64_t round_ = 0;
  };

  // `wait`: how long after the first of them others follow it; 0: never.
  explicit FirstRequests(std::chrono::milliseconds wait)
      : wait_ms_(static_cast<uint64_t>(wait.count())) {}
  bool on() const { return wait_ms_ > 0; }

  // The server that the requests of this connection are at, as a peer of that set, which may
  // outlive theirs; null: none are, not any more for new ones, or it has none of it.
  Peer* Find(uint64_t client, PeerSet& set, uint64_t now_ms) const;
  // A request without a session goes to `peer`.
  void Join(Member& member, uint64_t client, Peer& peer, uint64_t now_ms);
  void Forget() { leads_.clear(); }  // the peers are others than before

 private:
  struct Lead {
    Peer* peer = nullptr;
    uint64_t since_ms = 0;
    uint64_t round = 0;  // tells it from later ones of the connection
    uint32_t members = 0;
  };

  const uint64_t wait_ms_;
  uint64_t rounds_ = 0;
  std::unordered_map<uint64_t, Lead> leads_;  // by the connection's number
};

}  // namespace limpet::worker
