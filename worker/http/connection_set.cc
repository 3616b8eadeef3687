#include "worker/http/connection_set.h"

#include "worker/http/http1_connection.h"

namespace limpet::worker {

ConnectionSet::ConnectionSet(Runtime& runtime) : runtime_(runtime) {}

ConnectionSet::~ConnectionSet() { CloseAll(); }

bool ConnectionSet::Add(std::unique_ptr<Transport> transport, ClientInfo info) {
  if (connections_.size() >= static_cast<size_t>(runtime_.config.worker_connections) &&
      !CloseAnIdleOne())
    return false;
  auto connection =
      std::make_unique<Http1Connection>(*this, runtime_, std::move(transport), std::move(info));
  Http1Connection* const raw =
      connection.release();  // owned by the set; Remove hands it to the loop
  connections_.insert(raw);
  raw->Start();
  return true;
}

bool ConnectionSet::CloseAnIdleOne() {
  for (Http1Connection* connection : connections_) {
    if (!connection->idle()) continue;
    connection->CloseNow();
    return true;
  }
  return false;
}

void ConnectionSet::Remove(Http1Connection* connection) {
  if (connections_.erase(connection) == 0) return;
  runtime_.loop.DeleteLater(std::unique_ptr<Deletable>(connection));
  if (draining_ && connections_.empty() && done_) std::exchange(done_, nullptr)();
}

void ConnectionSet::Drain(std::function<void()> done) {
  draining_ = true;
  done_ = std::move(done);
  const std::vector<Http1Connection*> all(connections_.begin(), connections_.end());
  for (Http1Connection* connection : all) connection->CloseWhenIdle();
  if (connections_.empty() && done_) std::exchange(done_, nullptr)();
}

void ConnectionSet::CloseAll() {
  const std::vector<Http1Connection*> all(connections_.begin(), connections_.end());
  for (Http1Connection* connection : all) connection->CloseNow();
}

std::unique_ptr<Exchange> ConnectionSet::TakeExchange() {
  if (free_.empty()) return std::make_unique<Exchange>(runtime_);
  std::unique_ptr<Exchange> exchange = std::move(free_.back());
  free_.pop_back();
  return exchange;
}

void ConnectionSet::ReturnExchange(std::unique_ptr<Exchange> exchange) {
  if (free_.size() < kKeptExchanges) free_.push_back(std::move(exchange));
}

}  // namespace limpet::worker
