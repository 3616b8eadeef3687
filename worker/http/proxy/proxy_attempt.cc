#include "worker/http/proxy/proxy_attempt.h"

#include <utility>

namespace limpet::worker {

void ProxyAttempt::Begin(Peer* peer, uint64_t now_ms) {
  peer_ = peer;
  started_ms_ = now_ms;
  fate_ = Fate::kClose;
  source_ = Source::kNew;
}

bool ProxyAttempt::TakeKept(UpstreamPool& pool, const void* tag, std::string_view scope,
                            TransportHandler* handler) {
  if (!trusts_kept_) return false;
  connection_ = pool.Take(*peer_, tag, scope);
  if (connection_.transport == nullptr) return false;
  connection_.transport->set_handler(handler);
  source_ = Source::kPool;
  return true;
}

void ProxyAttempt::Adopt(std::unique_ptr<Transport> transport, std::string scope, uint64_t now_ms) {
  connection_.transport = std::move(transport);
  connection_.scope = std::move(scope);
  connection_.created_ms = now_ms;
}

void ProxyAttempt::End(UpstreamPool* pool, const void* tag) {
  if (fate_ == Fate::kKeep) {
    ++connection_.requests;
    pool->Put(*peer_, std::move(connection_), tag);
  }
  Transport::Discard(std::move(connection_.transport));
  connection_ = {};
  fate_ = Fate::kClose;
}

}  // namespace limpet::worker
