// Connections to a group's peers that are kept between requests, per worker and generation. The
// most recently used one of an address is given out first; when more than the configured number are
// idle, the least recently used is closed; so it is when others need its place (places.h). A kept
// connection that is closed, or on which bytes arrive unasked, is dropped. Keeping and taking make
// no system call.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "conf/upstream.h"
#include "worker/net/loop.h"
#include "worker/net/transport.h"
#include "worker/upstream/peer.h"

namespace limpet::worker {

struct PooledConnection {
  std::unique_ptr<Transport> transport;
  uint64_t created_ms = 0;
  uint32_t requests = 0;  // served so far, the one that ends with Put included
  std::string scope{};    // TLS context and name; "" without TLS
};

class UpstreamPool {
 public:
  UpstreamPool(Loop& loop, const conf::Upstream& conf);
  ~UpstreamPool();
  UpstreamPool(const UpstreamPool&) = delete;
  UpstreamPool& operator=(const UpstreamPool&) = delete;

  // A kept connection to the peer's address, or one without transport. The caller sets its handler.
  // `tag` separates locations with `keepalive … local`; it is ignored otherwise.
  // Only one of equal `scope` is given out: what was verified for one name is no proof of another.
  PooledConnection Take(const Peer& peer, const void* tag = nullptr, std::string_view scope = {});

  // Keeps the connection, or closes it if limits say so. No exchange may use it any more; nothing
  // of a response may be left unread. May be called from the transport's own callbacks.
  void Put(const Peer& peer, PooledConnection connection, const void* tag = nullptr);

  // Closes what is kept to addresses that are none of these peers'.
  void KeepOnly(const std::vector<Peer>& peers);

  void CloseAll();  // graceful stop: what is idle, and what is Put from now on
  size_t idle() const { return idle_; }

 private:
  class Slot;
  bool MayKeep(const Peer& peer, const PooledConnection& connection);
  void FreeSlot();  // where none is
  void Link(Slot& slot);
  void Unlink(Slot& slot);
  void Drop(Slot& slot);
  void OnTimer();
  void ArmTimer();

  Loop& loop_;
  const conf::Upstream& conf_;
  std::vector<std::unique_ptr<Slot>> slots_;
  Slot* free_ = nullptr;
  Slot* newest_ = nullptr;  // list of idle ones by time of Put: also by their expiry
  Slot* oldest_ = nullptr;
  size_t idle_ = 0;
  bool closing_ = false;
  Timer timer_;
};

}  // namespace limpet::worker
