#include "worker/http/client/connection_set.h"

#include <cassert>

#include "worker/http/client/client_connection.h"

namespace limpet::worker {

ConnectionSet::ConnectionSet(Runtime& runtime) : runtime_(runtime) {}

ConnectionSet::~ConnectionSet() {
  CloseAll();
  while (connections_.linked()) (void)Release(static_cast<ClientConnection&>(*connections_.next));
}

void ConnectionSet::Add(std::unique_ptr<Transport> transport, ClientInfo info) {
  auto connection =
      std::make_unique<ClientConnection>(*this, runtime_, std::move(transport), std::move(info));
  ClientConnection& added = *connection.release();
  added.LinkBefore(connections_);
  ++size_;
  added.Start();
}

std::unique_ptr<ClientConnection> ConnectionSet::Release(ClientConnection& connection) {
  connection.Unlink();
  --size_;
  return std::unique_ptr<ClientConnection>(&connection);
}

void ConnectionSet::Remove(ClientConnection* connection) {
  if (!connection->linked()) return;
  runtime_.loop.DeleteLater(Release(*connection));
  EndDrain();
}

void ConnectionSet::EndWait() {
  --awaited_;
  EndDrain();
}

void ConnectionSet::EndDrain() {
  if (draining_ && size_ == 0 && awaited_ == 0 && done_) std::exchange(done_, nullptr)();
}

// Some of them end, or bring others to their end, while one after the other is told.
std::vector<ClientConnection*> ConnectionSet::All() const {
  std::vector<ClientConnection*> all;
  all.reserve(size_);
  for (ListLink* link = connections_.next; link != &connections_; link = link->next)
    all.push_back(static_cast<ClientConnection*>(link));
  return all;
}

void ConnectionSet::Drain(std::function<void()> done) {
  draining_ = true;
  done_ = std::move(done);
  for (ClientConnection* connection : All()) connection->CloseWhenIdle();
  EndDrain();
}

void ConnectionSet::CloseAll() {
  for (ClientConnection* connection : All()) connection->CloseNow();
}

void ConnectionSet::Trim() {
  exchanges_.Clear();
  turns_.Clear();
  runtime_.response_parsers.Clear();
}

size_t ConnectionSet::DropUnneeded() {
  return exchanges_.DropUnneeded() + turns_.DropUnneeded() +
         runtime_.response_parsers.DropUnneeded();
}

std::unique_ptr<Exchange> ConnectionSet::TakeExchange() { return exchanges_.Take(runtime_); }

void ConnectionSet::ReturnExchange(std::unique_ptr<Exchange> exchange) {
  assert(exchange->quiet());  // whatever is armed now would strike the next request
  exchanges_.Return(std::move(exchange));
}

std::unique_ptr<Http1Turn> ConnectionSet::TakeTurn() { return turns_.Take(runtime_.blocks); }

void ConnectionSet::ReturnTurn(std::unique_ptr<Http1Turn> turn) {
  if (turn != nullptr) turn->Clear();
  turns_.Return(std::move(turn));
}

}  // namespace limpet::worker
