// All client connections of a worker: makes them, and ends them all when the worker stops. What
// reads, serves and answers a request is lent out from here, so that idle connections hold nothing
// of it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "worker/http/client/http1_turn.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/runtime.h"
#include "worker/net/loop.h"
#include "worker/net/spares.h"
#include "worker/net/transport.h"

namespace limpet::worker {

class ClientConnection;

class ConnectionSet {
 public:
  explicit ConnectionSet(Runtime& runtime);
  ~ConnectionSet();

  // Takes over an accepted connection.
  void Add(std::unique_ptr<Transport> transport, ClientInfo info);
  size_t size() const { return size_; }
  // One that is accepted, but cannot be added yet: a drain waits for it, too.
  void Await() { ++awaited_; }
  void EndWait();

  // Graceful stop; `done` is called when the last one has gone, maybe at once.
  void Drain(std::function<void()> done);
  void CloseAll();  // at once

  std::unique_ptr<Exchange> TakeExchange();
  void ReturnExchange(std::unique_ptr<Exchange> exchange);
  std::unique_ptr<Http1Turn> TakeTurn();
  void ReturnTurn(std::unique_ptr<Http1Turn> turn);  // null: nothing happens
  void Remove(ClientConnection* connection);         // by the connection, at its end
  void Trim();                                       // frees what is kept to be lent out
  size_t DropUnneeded();  // of that, what nobody has needed since the last call; how many

 private:
  std::vector<ClientConnection*> All() const;
  std::unique_ptr<ClientConnection> Release(ClientConnection& connection);
  void EndDrain();

  Runtime& runtime_;
  ListLink connections_;  // the list's head; the set owns them
  size_t size_ = 0;
  size_t awaited_ = 0;
  Spares<Exchange> exchanges_;
  Spares<Http1Turn> turns_;
  std::function<void()> done_;
  bool draining_ = false;
};

}  // namespace limpet::worker
