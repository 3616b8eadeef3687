// All client connections of a worker: makes them, keeps their number within worker_connections, and
// ends them all when the worker stops. Exchanges are lent out from here, so that idle connections
// hold none.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_set>
#include <vector>

#include "worker/http/exchange.h"
#include "worker/http/runtime.h"
#include "worker/net/transport.h"

namespace limpet::worker {

class Http1Connection;

class ConnectionSet {
 public:
  explicit ConnectionSet(Runtime& runtime);
  ~ConnectionSet();

  // Takes over an accepted connection. At the limit an idle connection gives way (nginx does so);
  // false if none could.
  bool Add(std::unique_ptr<Transport> transport, ClientInfo info);
  size_t size() const { return connections_.size(); }

  // Graceful stop; `done` is called when the last one has gone, maybe at once.
  void Drain(std::function<void()> done);
  void CloseAll();  // at once

  std::unique_ptr<Exchange> TakeExchange();
  void ReturnExchange(std::unique_ptr<Exchange> exchange);
  void Remove(Http1Connection* connection);  // by the connection, at its end

 private:
  bool CloseAnIdleOne();

  static constexpr size_t kKeptExchanges = 64;
  Runtime& runtime_;
  std::unordered_set<Http1Connection*> connections_;
  std::vector<std::unique_ptr<Exchange>> free_;
  std::function<void()> done_;
  bool draining_ = false;
};

}  // namespace limpet::worker
