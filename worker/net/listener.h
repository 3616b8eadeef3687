// Accepts connections on a listening socket that the master opened and every worker shares.
//
// Level-triggered, and only a few connections are taken per wake-up: what is left wakes another
// worker (or this one again), which keeps workers even. Most often one waits, and to look for a
// second one would be a call for nothing; where there are always more, more are taken. Out of
// descriptors or memory, it pauses for 500 ms instead of spinning.
#pragma once

#include "base/log.h"
#include "base/socket_address.h"
#include "base/unique_fd.h"
#include "worker/net/loop.h"

namespace limpet::worker {

class Listener;

class ListenerHandler {
 public:
  // Asked before each accept. False: another worker should have it; the listener looks again after
  // a moment.
  virtual bool MayAccept(Listener&) { return true; }
  virtual void OnAccepted(Listener& listener, UniqueFd fd, const SocketAddress& client) = 0;

 protected:
  ~ListenerHandler() = default;
};

class Listener {
 public:
  static constexpr uint64_t kPauseMs = 500;

  // `fd` is non-blocking, bound and listening; it stays the caller's and must outlive the listener.
  Listener(Loop& loop, int fd, const SocketAddress& local, ListenerHandler& handler,
           const Log& log);

  void Start();
  void Stop();  // graceful stop and reload: accept no more; the descriptor stays open
  // For worker_connections: stop taking new ones for a while, or until Start.
  void Pause(uint64_t ms = kPauseMs);

  int fd() const { return fd_; }
  const SocketAddress& local() const { return local_; }  // as configured: may be a wildcard

 private:
  void OnReadable();
  bool AcceptOne();
  void OnAcceptError(int errnum);

  static constexpr int kMostPerWakeup = 8;
  static constexpr int kPatience = 8;  // so many wake-ups in a row had enough for more to be taken
  static constexpr uint64_t kStandBackMs = 2;

  int fd_;
  SocketAddress local_;
  ListenerHandler& handler_;
  const Log& log_;
  FdWatch watch_;
  Timer resume_;
  int per_wakeup_ = 1;
  int full_wakeups_ = 0;
};

}  // namespace limpet::worker
