// The places that a worker has for connections (worker_connections). Whatever holds a connection's
// descriptor holds a Place: to a client, to an upstream, to a name server. When all are taken, the
// connection that has been idle longest gives way. Everything here is O(1) and without allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "base/log.h"
#include "worker/net/callback.h"
#include "worker/net/list_link.h"

namespace limpet::worker {

class Places {
 public:
  Places() = default;
  Places(const Places&) = delete;
  Places& operator=(const Places&) = delete;

  // Before, there is no limit. `log` must outlive this object.
  void Limit(size_t most, const Log& log);

  // Whether there is a place. If all are taken, idle connections are asked to give way, the one
  // that has been idle longest first. What gives way closes at once. The log has one line a second
  // of it.
  bool MakeRoom();

  size_t taken() const { return taken_; }

 private:
  friend class Place;
  void Say();

  ListLink idle_;  // the list's head; next: idle longest
  size_t taken_ = 0;
  size_t most_ = std::numeric_limits<size_t>::max();
  const Log* log_ = nullptr;
  uint64_t said_ms_ = 0;  // 0: never
};

class Place : private ListLink {
 public:
  // Takes a place, for which an idle connection may have to give way. What must not be refused
  // goes beyond the limit: who can refuse asks MakeRoom() first.
  explicit Place(Places& places);
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() { Release(); }

  void Release();

  // Idle from now on. `give_way` releases the place, unless there has come something to do: then it
  // is not asked again before the next SetIdle.
  void SetIdle(Callback give_way);
  void SetBusy() { Unlink(); }
  bool idle() const { return linked(); }

 private:
  friend class Places;

  Places& places_;
  Callback give_way_;
  bool taken_ = true;
};

}  // namespace limpet::worker
