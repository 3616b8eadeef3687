#include "worker/upstream/pool.h"

#include <algorithm>
#include <utility>

namespace limpet::worker {

// A place for one idle connection; hears what happens to it meanwhile.
class UpstreamPool::Slot final : public TransportHandler {
 public:
  explicit Slot(UpstreamPool& pool) : pool_(pool) {}

  void OnReadable() override {
    // Readiness without bytes or end happens (a read that just filled its buffer): look before
    // dropping.
    if (!connection.transport->StillIdle()) pool_.Drop(*this);
  }
  void OnWritable() override {}
  void OnPlaceNeeded() override { pool_.Drop(*this); }

  PooledConnection connection;
  int address_id = 0;
  const void* tag = nullptr;
  uint64_t expires_ms = 0;
  Slot* newer = nullptr;
  Slot* older = nullptr;  // also the next free one

 private:
  UpstreamPool& pool_;
};

UpstreamPool::UpstreamPool(Loop& loop, const conf::Upstream& conf)
    : loop_(loop), conf_(conf), timer_(loop, Callback::To<&UpstreamPool::OnTimer>(this)) {}

UpstreamPool::~UpstreamPool() { CloseAll(); }

PooledConnection UpstreamPool::Take(const Peer& peer, const void* tag, std::string_view scope) {
  for (Slot* slot = newest_; slot != nullptr; slot = slot->older) {
    if (slot->address_id != peer.address_id) continue;
    if (conf_.keepalive_local && slot->tag != tag) continue;
    if (slot->connection.scope != scope) continue;
    Unlink(*slot);
    slot->older = std::exchange(free_, slot);
    slot->connection.transport->SetIdle(false);
    return std::move(slot->connection);
  }
  return {};
}

bool UpstreamPool::MayKeep(const Peer& peer, const PooledConnection& connection) {
  if (closing_ || peer.gone || conf_.keepalive <= 0 || !connection.transport) return false;
  if (connection.requests >= static_cast<uint32_t>(conf_.keepalive_requests)) return false;
  const uint64_t age = loop_.NowMs() - connection.created_ms;
  if (age > static_cast<uint64_t>(conf_.keepalive_time.count())) return false;
  return connection.transport->StillIdle();
}

void UpstreamPool::Put(const Peer& peer, PooledConnection connection, const void* tag) {
  if (!MayKeep(peer, connection)) return Transport::Discard(std::move(connection.transport));
  if (free_ == nullptr) FreeSlot();
  Slot& slot = *free_;
  free_ = slot.older;
  slot.connection = std::move(connection);
  slot.address_id = peer.address_id;
  slot.tag = tag;
  slot.expires_ms = loop_.NowMs() + static_cast<uint64_t>(conf_.keepalive_timeout.count());
  slot.connection.transport->set_handler(&slot);
  slot.connection.transport->WantWrite(false);
  slot.connection.transport->WantRead(true);
  slot.connection.transport->SetIdle(true);
  Link(slot);
  if (!timer_.armed()) ArmTimer();
}

// There are as many as connections have been idle at once, and at most `keepalive`.
void UpstreamPool::FreeSlot() {
  if (slots_.size() >= static_cast<size_t>(conf_.keepalive)) return Drop(*oldest_);
  slots_.push_back(std::make_unique<Slot>(*this));
  free_ = slots_.back().get();
}

void UpstreamPool::Link(Slot& slot) {
  slot.newer = nullptr;
  slot.older = newest_;
  (newest_ != nullptr ? newest_->newer : oldest_) = &slot;
  newest_ = &slot;
  ++idle_;
}

void UpstreamPool::Unlink(Slot& slot) {
  (slot.newer != nullptr ? slot.newer->older : newest_) = slot.older;
  (slot.older != nullptr ? slot.older->newer : oldest_) = slot.newer;
  slot.newer = slot.older = nullptr;
  --idle_;
}

void UpstreamPool::Drop(Slot& slot) {
  Unlink(slot);
  Transport::Discard(std::move(slot.connection.transport));
  slot.older = std::exchange(free_, &slot);
}

void UpstreamPool::KeepOnly(const std::vector<Peer>& peers) {
  std::vector<int> ids;
  for (const Peer& peer : peers) ids.push_back(peer.address_id);
  std::ranges::sort(ids);
  for (Slot* slot = oldest_; slot != nullptr;) {
    Slot& here = *slot;
    slot = here.newer;
    if (!std::ranges::binary_search(ids, here.address_id)) Drop(here);
  }
}

void UpstreamPool::CloseAll() {
  closing_ = true;
  timer_.Disarm();
  while (oldest_ != nullptr) Drop(*oldest_);
}

void UpstreamPool::OnTimer() {
  while (oldest_ != nullptr && oldest_->expires_ms <= loop_.NowMs()) Drop(*oldest_);
  ArmTimer();
}

void UpstreamPool::ArmTimer() {
  if (oldest_ != nullptr) timer_.Arm(oldest_->expires_ms - loop_.NowMs());
}

}  // namespace limpet::worker
