// Listening sockets. A generation holds what it needs; sockets of equal addresses are handed on
// from the generation before, so that none is closed over a reload and no connection is refused.
#pragma once

#include <memory>
#include <vector>

#include "base/log.h"
#include "base/socket_address.h"
#include "base/unique_fd.h"
#include "conf/config.h"

namespace limpet::master {

// One open socket. The file of a Unix socket goes with its last holder, in the process that opened
// it.
class ListenSocket {
 public:
  ListenSocket(UniqueFd fd, const SocketAddress& address);
  ~ListenSocket();
  ListenSocket(const ListenSocket&) = delete;
  ListenSocket& operator=(const ListenSocket&) = delete;

  int fd() const { return fd_.get(); }
  const SocketAddress& address() const { return address_; }
  void Close() { fd_.Reset(); }     // in a worker: the file stays
  void LeaveFile() { owner_ = 0; }  // whoever removes it, it is not this process
  void AdoptFile();                 // this process removes the file in the end

 private:
  UniqueFd fd_;
  SocketAddress address_;
  pid_t owner_;
};

using ListenSocketPtr = std::shared_ptr<ListenSocket>;

class Listeners {
 public:
  // At start an address may still be held by a process that ends; a reload never waits.
  enum class OnBusy { kRetry, kFail };

  // Sockets for config.http->listens. `before`: those of the generation that serves now, empty at
  // start.
  static Result<Listeners> Open(const conf::Config& config, const Listeners& before, OnBusy on_busy,
                                const Log& log);
  // Of a configuration that is only tested: whether its addresses can be bound, by us and now. One
  // that is in use may be our own.
  static Status TryBind(const conf::Config& config);

  // What worker `number` of `workers` listens on, parallel to config.http->listens. None: what
  // comes for this address comes through the socket that listens on every address of its port. More
  // than one: there are more sockets (reuseport) than workers; none is closed before its time, as
  // what waits in it would be lost.
  std::vector<std::vector<int>> ForWorker(int number, int workers) const;

  // In a worker: closes sockets that belong to other workers.
  void CloseAllBut(int number, int workers);

  void Close();  // all of them, for good

  // Who removes socket files in the end: this process (after a fork whose parent ends, or when the
  // other master has gone), or another master that uses them, too.
  void AdoptFiles();
  void LeaveFiles();
  std::vector<ListenSocketPtr> All() const;

  // Sockets that another process opened and left to this one (binary upgrade, socket activation):
  // to be passed as `before`. What is no listening socket is left alone. Their files are not ours.
  static Listeners Adopt(const std::vector<int>& fds);

 private:
  using Group = std::vector<ListenSocketPtr>;  // one, or with reuseport one for each worker
  std::vector<Group> groups_;
};

}  // namespace limpet::master
