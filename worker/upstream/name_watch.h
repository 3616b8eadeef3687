// Keeps the peers of an upstream's names up to date: asks for them, writes what has changed into
// the shared table, and asks again when the answers have run out. All workers have one for each
// upstream with such names; the one that holds the lease is at work, the others wait to take over.
//
// What an answer means is as in nginx: a name that does not exist has no peers; after any other
// error they stay as they are, and it is tried again after resolver_timeout or five seconds. Of a
// service, so it is with each target: one that cannot be resolved now keeps its peers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "conf/upstream.h"
#include "shm/lease.h"
#include "shm/peer_state.h"
#include "shm/resolved_peers.h"
#include "worker/net/loop.h"
#include "worker/upstream/resolver.h"

namespace limpet::worker {

// The name whose SRV records a `service=` means: "http" is _http._tcp.HOST, "_x._udp" and other
// names with a dot stand before the host as they are.
std::string ServiceName(const conf::UpstreamServer& server);

class NameWatch {
 public:
  // `states` has a table. Starts with the loop.
  NameWatch(Loop& loop, const conf::Upstream& conf, shm::PeerStates& states, Resolver& resolver,
            const Log& log);
  ~NameWatch();
  NameWatch(const NameWatch&) = delete;
  NameWatch& operator=(const NameWatch&) = delete;

  // A worker that ends leaves the duty to another at once.
  void Stop();

 private:
  class Name;
  void TryToBegin();

  Loop& loop_;
  const conf::Upstream& conf_;
  shm::PeerStates& states_;
  Resolver& resolver_;
  const Log& log_;
  shm::Lease lease_;
  std::vector<std::unique_ptr<Name>> names_;
  Timer retry_;
};

}  // namespace limpet::worker
