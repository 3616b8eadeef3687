// The peers of a group between two changes: those of the configuration and those that names give.
// Once made, only `gone` of its peers changes, and what its balancer remembers. Exchanges keep the
// set they began with (PeerSetRef), so a Peer* is good for as long as its exchange.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/text.h"
#include "conf/upstream.h"
#include "shm/peer_state.h"
#include "worker/upstream/balancer.h"
#include "worker/upstream/peer.h"
#include "worker/upstream/peer_selection.h"

namespace limpet::worker {

// Numbers for addresses, the same in all sets of a group and never given twice.
class AddressIds {
 public:
  int IdOf(const std::string& name) {
    const auto [known, is_new] = ids_.emplace(name, next_);
    if (is_new) ++next_;
    return known->second;
  }
  void ForgetOthersThan(const std::vector<Peer>& peers);

 private:
  std::unordered_map<std::string, int> ids_;
  int next_ = 0;
};

// What session tables call a peer: `route=`/`sid=`, else the MD5 of its address in hex, as nginx
// does. One that an SRV record has named is more than its address: another name there is another
// server.
std::string ServerId(const conf::UpstreamServer& server, const std::string& address,
                     const std::string& target = {});
// What clients are told: as in nginx always the address alone, so that cookies of before hold.
std::string ClientId(const Peer& peer);

class PeerSet {
 public:
  // Under the lock of `states`. `counts` may point to null.
  PeerSet(const conf::Upstream& conf, shm::PeerStates& states, AddressIds& ids,
          const SessionCounts* const* counts);
  PeerSet(const PeerSet&) = delete;
  PeerSet& operator=(const PeerSet&) = delete;

  std::vector<Peer> peers;  // primaries, then backups; of one name by address
  Tier primaries;
  Tier backups;
  int initial_tries = 0;
  std::unique_ptr<Balancer> balancer;
  uint64_t version = 0;  // of the names' peers

  bool single() const { return peers.size() == 1; }
  Peer* FindByServerId(std::string_view server_id);  // or by its ClientId; the first
  // The same peer in this set, which may have been made before or after the peer's own; null if it
  // is none of it. Null for null.
  Peer* Own(const Peer* peer);
  void MarkGone(PeerSet& now);  // those that are not in `now`
  // What the configuration says of drains becomes the peers' state, if it is the newest. Under the
  // lock; now and then, as another binary may have gone.
  void AdoptDrains(shm::PeerStates& states);
  uint32_t users() const { return users_; }

 private:
  friend class PeerSetRef;
  void AddServers(const conf::Upstream& conf, shm::PeerStates& states, bool backups);
  void Add(const conf::UpstreamServer& server, Peer peer);
  void AttachStates(shm::PeerStates& states);
  Tier MakeTier(size_t begin, size_t end);

  AddressIds& ids_;
  std::unordered_map<std::string, int, HashText, std::equal_to<>> by_server_id_;
  std::unordered_map<const shm::PeerState*, int> by_state_;  // each peer has its own
  uint32_t users_ = 0;
};

// Calls visit(server, address) for primaries, then for backups, in the order of configuration: the
// peers that the configuration itself gives, as PeerStates holds them.
template <class Visit>
void ForEachConfiguredPeer(const conf::Upstream& conf, const Visit& visit) {
  for (const bool backup : {false, true}) {
    for (const conf::UpstreamServer& server : conf.servers) {
      if (server.backup != backup) continue;
      for (const SocketAddress& address : server.addresses) visit(server, address);
    }
  }
}

}  // namespace limpet::worker
