#include "shm/store_relay.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/hash.h"
#include "shm/peer_directory.h"
#include "shm/store_state.h"

namespace limpet::shm {

uint32_t StoreRelay::CheckOf(std::string_view server) {
  const Digest128 hash = SipHash128(server, SipKey{});
  uint32_t check = 0;
  std::memcpy(&check, hash.data(), sizeof check);
  return check;
}

size_t StoreRelay::Push(std::span<const RelayedChange> changes) {
  const RobustGuard guard(mutex_);
  const size_t count = std::min<size_t>(changes.size(), kPlaces - (tail_ - head_));
  for (size_t i = 0; i < count; ++i) places_[(tail_ + i) % kPlaces] = changes[i];
  tail_ += count;
  return count;
}

size_t StoreRelay::Peek(std::span<RelayedChange> room) const {
  const RobustGuard guard(mutex_);
  const size_t count = std::min<size_t>(room.size(), tail_ - head_);
  for (size_t i = 0; i < count; ++i) room[i] = places_[(head_ + i) % kPlaces];
  return count;
}

void StoreRelay::Drop(size_t count) {
  const RobustGuard guard(mutex_);
  head_ += std::min<size_t>(count, tail_ - head_);
}

size_t StoreRelay::Room() const {
  const RobustGuard guard(mutex_);
  return kPlaces - (tail_ - head_);
}

bool StoreState::Relay(std::span<const SessionRecord> changed, const PeerDirectory& peers,
                       uint64_t wall_ms) {
  std::vector<RelayedChange> changes;
  for (const SessionRecord& session : changed) {
    const StoreVersion version = Next(wall_ms);
    Note(session.tag, version, wall_ms, session.peer() == kNoPeer);
    const auto extra = static_cast<uint16_t>(session.extra & 0x7FFF);
    changes.push_back({session.tag, version.time, extra, session.peer(),
                       StoreRelay::CheckOf(peers.Name(session.peer()))});
  }
  const size_t pushed = relay.Push(changes);
  figures.dropped.fetch_add(changes.size() - pushed, std::memory_order_relaxed);
  return pushed == changes.size();
}

StoreMemory::StoreMemory(std::byte* memory, size_t /*bytes*/)
    : state_(reinterpret_cast<StoreState*>(memory)) {
  if (state_->IsInitialised()) return;  // another binary has made it
  uint16_t machine = 0;
  RandomBytes(&machine, sizeof machine);
  state_->Init(machine);
}

}  // namespace limpet::shm
