// All client connections of a worker: makes them, and ends them all when the worker stops. What
// reads and what serves a request is lent out from here, so that idle connections hold neither.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "proto/http1/chunked.h"
#include "proto/http1/request_parser.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/runtime.h"
#include "worker/net/transport.h"

namespace limpet::worker {

class ClientConnection;

// Reads one HTTP/1 request after the other: head and body.
struct RequestReader {
  proto::RequestParser parser;
  proto::ChunkedDecoder decoder;
};

class ConnectionSet {
 public:
  explicit ConnectionSet(Runtime& runtime);
  ~ConnectionSet();

  // Takes over an accepted connection.
  void Add(std::unique_ptr<Transport> transport, ClientInfo info);
  size_t size() const { return connections_.size(); }

  // Graceful stop; `done` is called when the last one has gone, maybe at once.
  void Drain(std::function<void()> done);
  void CloseAll();  // at once

  std::unique_ptr<Exchange> TakeExchange();
  void ReturnExchange(std::unique_ptr<Exchange> exchange);
  std::unique_ptr<RequestReader> TakeReader();
  void ReturnReader(std::unique_ptr<RequestReader> reader);  // null: nothing happens
  void Remove(ClientConnection* connection);                 // by the connection, at its end
  void Trim();                                               // frees what is kept to be lent out

 private:
  template <class T>
  static std::unique_ptr<T> Take(std::vector<std::unique_ptr<T>>& kept);  // null if there is none
  template <class T>
  static void Keep(std::vector<std::unique_ptr<T>>& kept, std::unique_ptr<T> returned);
  std::vector<ClientConnection*> All() const;

  static constexpr size_t kMostKept = 64;  // of either
  Runtime& runtime_;
  std::unordered_map<ClientConnection*, std::unique_ptr<ClientConnection>> connections_;
  std::vector<std::unique_ptr<Exchange>> free_exchanges_;
  std::vector<std::unique_ptr<RequestReader>> free_readers_;
  std::function<void()> done_;
  bool draining_ = false;
};

}  // namespace limpet::worker
