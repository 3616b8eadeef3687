// One attempt at a peer: the connection to it, and what becomes of that connection afterwards.
//
//   Begin(peer, now)      null: none could be had, only the time is of use
//   TakeKept | Adopt      a connection, now or when it is there
//   DistrustKept()        a kept one was closed without an answer: new ones from here on
//   End(pool, tag)        kept if it may be, closed otherwise; peer() stays, for log lines
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "worker/net/transport.h"
#include "worker/upstream/pool.h"

namespace limpet::worker {

class ProxyAttempt {
 public:
  void Begin(Peer* peer, uint64_t now_ms);
  // False: none is kept, or none is trusted. `tag` and `scope` as in UpstreamPool::Take.
  bool TakeKept(UpstreamPool& pool, const void* tag, std::string_view scope,
                TransportHandler* handler);
  void Adopt(std::unique_ptr<Transport> transport, std::string scope, uint64_t now_ms);
  void End(UpstreamPool* pool, const void* tag);
  // It may be this request that ends connections, and each one that is kept may be another process
  // of the application: they must not all end by it. Until Forget.
  void DistrustKept() { trusts_kept_ = false; }
  void Forget() {  // with the exchange, and with its location
    peer_ = nullptr;
    trusts_kept_ = true;
  }

  // What becomes of the connection: closed, unless both sides agree and nothing is left of the
  // response. Once it is spoiled, that is final for this attempt.
  void AskToKeep(bool asked) { fate_ = asked ? Fate::kAsked : Fate::kClose; }
  void Spoil() { fate_ = Fate::kClose; }
  void KeepIf(bool agreed) {
    if (fate_ == Fate::kAsked && agreed) fate_ = Fate::kKeep;
  }

  Peer* peer() const { return peer_; }
  Transport* transport() const { return connection_.transport.get(); }
  // It was kept: it may have been closed under us.
  bool from_pool() const { return source_ == Source::kPool; }
  int64_t ElapsedMs(uint64_t now_ms) const { return static_cast<int64_t>(now_ms - started_ms_); }
  uint64_t started_ms() const { return started_ms_; }

 private:
  enum class Source : uint8_t { kNew, kPool };
  enum class Fate : uint8_t {
    kClose,
    kAsked,  // the peer was asked to keep it
    kKeep
  };

  Peer* peer_ = nullptr;
  PooledConnection connection_;
  uint64_t started_ms_ = 0;
  Source source_ = Source::kNew;
  Fate fate_ = Fate::kClose;
  bool trusts_kept_ = true;
};

}  // namespace limpet::worker
