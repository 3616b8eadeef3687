#include "worker/http/client/connection_set.h"

#include <cassert>

#include "worker/http/client/client_connection.h"

namespace limpet::worker {

ConnectionSet::ConnectionSet(Runtime& runtime) : runtime_(runtime) {}

ConnectionSet::~ConnectionSet() { CloseAll(); }

void ConnectionSet::Add(std::unique_ptr<Transport> transport, ClientInfo info) {
  auto connection =
      std::make_unique<ClientConnection>(*this, runtime_, std::move(transport), std::move(info));
  ClientConnection& added = *connection;
  connections_.emplace(&added, std::move(connection));
  added.Start();
}

void ConnectionSet::Remove(ClientConnection* connection) {
  auto node = connections_.extract(connection);
  if (node.empty()) return;
  runtime_.loop.DeleteLater(std::move(node.mapped()));
  if (draining_ && connections_.empty() && done_) std::exchange(done_, nullptr)();
}

// Some of them end, or bring others to their end, while one after the other is told.
std::vector<ClientConnection*> ConnectionSet::All() const {
  std::vector<ClientConnection*> all;
  all.reserve(connections_.size());
  for (const auto& [connection, owned] : connections_) all.push_back(connection);
  return all;
}

void ConnectionSet::Drain(std::function<void()> done) {
  draining_ = true;
  done_ = std::move(done);
  for (ClientConnection* connection : All()) connection->CloseWhenIdle();
  if (connections_.empty() && done_) std::exchange(done_, nullptr)();
}

void ConnectionSet::CloseAll() {
  for (ClientConnection* connection : All()) connection->CloseNow();
}

void ConnectionSet::Trim() {
  free_exchanges_.clear();
  free_readers_.clear();
}

template <class T>
std::unique_ptr<T> ConnectionSet::Take(std::vector<std::unique_ptr<T>>& kept) {
  if (kept.empty()) return nullptr;
  std::unique_ptr<T> taken = std::move(kept.back());
  kept.pop_back();
  return taken;
}

template <class T>
void ConnectionSet::Keep(std::vector<std::unique_ptr<T>>& kept, std::unique_ptr<T> returned) {
  if (returned != nullptr && kept.size() < kMostKept) kept.push_back(std::move(returned));
}

std::unique_ptr<Exchange> ConnectionSet::TakeExchange() {
  auto exchange = Take(free_exchanges_);
  return exchange != nullptr ? std::move(exchange) : std::make_unique<Exchange>(runtime_);
}

void ConnectionSet::ReturnExchange(std::unique_ptr<Exchange> exchange) {
  assert(exchange->quiet());  // whatever is armed now would strike the next request
  Keep(free_exchanges_, std::move(exchange));
}

std::unique_ptr<RequestReader> ConnectionSet::TakeReader() {
  auto reader = Take(free_readers_);
  return reader != nullptr ? std::move(reader) : std::make_unique<RequestReader>();
}

void ConnectionSet::ReturnReader(std::unique_ptr<RequestReader> reader) {
  Keep(free_readers_, std::move(reader));
}

}  // namespace limpet::worker
