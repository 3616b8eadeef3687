// A duty that exactly one of several processes has at a time: resolving names, probing peers.
// Whoever wants it tries to take it, again and again; it is free again at once when its holder has
// died, because the kernel unlocks the robust mutex beneath it. It is held for long, so nobody may
// ever wait for it.
//
// One Lease per process and duty, used from one thread. Always: at most one of all Leases on a
// mutex is held.
#pragma once

#include <cstdint>

#include "shm/robust_mutex.h"

namespace limpet::shm {

class Lease {
 public:
  static constexpr uint64_t kRetryMs = 400;  // who does not hold it tries this often

  // `mutex` guards nothing else. Null: the duty is this process's own.
  explicit Lease(RobustMutex* mutex) : mutex_(mutex) {}
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease() { Release(); }

  bool TryTake();  // true if it is held now, by this call or before
  void Release();  // by the end of a worker's service, so that the next does not wait for its death
  bool held() const { return held_; }

 private:
  RobustMutex* mutex_;
  bool held_ = false;
};

}  // namespace limpet::shm
