#include "shm/resolved_peers.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace limpet::shm {

struct ResolvedPeers::Slot {
  static constexpr size_t kMaxTarget = 255;  // a domain name, RFC 1035 2.3.4

  PeerState state;
  std::atomic<Use> use{Use::kFree};
  uint32_t source = 0;
  uint32_t weight = 0;
  uint16_t address_size = 0;
  uint8_t backup = 0;
  uint8_t target_size = 0;
  alignas(sockaddr_in6) char address[sizeof(sockaddr_in6)] = {};
  char target[kMaxTarget] = {};

  bool active() const { return use.load(std::memory_order_relaxed) == Use::kActive; }
  bool idle() const { return !active() && state.conns.load(std::memory_order_relaxed) == 0; }

  // The same address under the same name: whatever its weight is now, it is the same peer.
  bool Holds(const ResolvedPeer& peer) const {
    return address_size == peer.address.size() &&
           std::memcmp(address, peer.address.get(), address_size) == 0 &&
           std::string_view(target, target_size) == peer.target;
  }
  bool HoldsAllOf(const ResolvedPeer& peer) const {
    return Holds(peer) && weight == peer.weight && (backup != 0) == peer.backup;
  }

  ResolvedPeer Read() const {
    return {.address = SocketAddress(reinterpret_cast<const sockaddr*>(address), address_size),
            .target = std::string(target, target_size),
            .weight = weight,
            .backup = backup != 0};
  }

  void Write(uint32_t of, const ResolvedPeer& peer) {
    source = of;
    weight = peer.weight;
    backup = peer.backup ? 1 : 0;
    address_size = static_cast<uint16_t>(peer.address.size());
    std::memcpy(address, peer.address.get(), peer.address.size());
    target_size = static_cast<uint8_t>(peer.target.size());
    std::memcpy(target, peer.target.data(), peer.target.size());
  }
};

namespace {
constexpr size_t kHeader = 64;

bool Fits(const ResolvedPeer& peer) {
  return peer.address.size() <= sizeof(sockaddr_in6) && peer.target.size() <= 255;
}
}  // namespace

size_t ResolvedPeers::BytesFor(uint32_t capacity) {
  return kHeader + size_t{capacity} * (sizeof(Slot) + sizeof(std::atomic<uint32_t>));
}

ResolvedPeers* ResolvedPeers::Format(std::byte* memory, uint32_t capacity) {
  static_assert(sizeof(ResolvedPeers) <= kHeader);
  static_assert(alignof(Slot) <= kHeader && sizeof(Slot) <= 1792);
  auto* peers = new (memory) ResolvedPeers;
  peers->capacity_ = capacity;
  return peers;
}

std::span<ResolvedPeers::Slot> ResolvedPeers::slots() {
  auto* first = reinterpret_cast<std::byte*>(this) + kHeader;
  return {reinterpret_cast<Slot*>(first), used_};
}

// Names that have been answered, behind all places; 0: free.
std::span<std::atomic<uint32_t>> ResolvedPeers::answered() {
  auto* first = reinterpret_cast<std::byte*>(this) + kHeader + size_t{capacity_} * sizeof(Slot);
  return {reinterpret_cast<std::atomic<uint32_t>*>(first), capacity_};
}

bool ResolvedPeers::Answered(uint32_t source) {
  const auto is_it = [source](const auto& name) {
    return name.load(std::memory_order_relaxed) == source;
  };
  return std::ranges::any_of(answered(), is_it) ||
         std::ranges::any_of(slots(), [source](const Slot& slot) {
           return slot.active() && slot.source == source;
         });
}

// True if that is news.
bool ResolvedPeers::NoteAnswer(uint32_t source) {
  std::atomic<uint32_t>* free = nullptr;
  for (auto& name : answered()) {
    const uint32_t known = name.load(std::memory_order_relaxed);
    if (known == source) return false;
    if (known == 0 && free == nullptr) free = &name;
  }
  if (free != nullptr) free->store(source, std::memory_order_relaxed);
  return free != nullptr;
}

void ResolvedPeers::Forget(uint32_t source) {
  (void)Replace(source, {});
  for (auto& name : answered()) {
    if (name.load(std::memory_order_relaxed) == source) name.store(0, std::memory_order_relaxed);
  }
}

// One that has left for good is not found: who comes to its address begins anew, and is not drained
// because that one was. Two equal peers have a place each.
ResolvedPeers::Slot* ResolvedPeers::Find(uint32_t source, const ResolvedPeer& peer,
                                         std::span<Slot* const> taken) {
  for (Slot& slot : slots()) {
    if (slot.idle() || slot.source != source || !slot.Holds(peer)) continue;
    if (std::ranges::find(taken, &slot) == taken.end()) return &slot;
  }
  return nullptr;
}

ResolvedPeers::Slot* ResolvedPeers::TakePlace() {
  const auto all = slots();
  const auto idle = std::ranges::find_if(all, &Slot::idle);
  if (idle != all.end()) {
    idle->use.store(Use::kFree, std::memory_order_relaxed);  // not whole until it is written anew
    const uint32_t occupant = idle->state.occupant.load(std::memory_order_relaxed) + 1;
    Slot* const emptied = new (&*idle) Slot;
    emptied->state.occupant.store(occupant, std::memory_order_relaxed);
    return emptied;
  }
  if (used_ == capacity_) return nullptr;
  Slot* fresh = new (all.data() + used_) Slot;
  ++used_;
  return fresh;
}

size_t ResolvedPeers::Replace(uint32_t source, std::span<const ResolvedPeer> found) {
  bool changed = NoteAnswer(source);
  std::vector<Slot*> places;  // of those found; null: it has none yet
  for (const ResolvedPeer& peer : found) places.push_back(Find(source, peer, places));
  for (Slot& slot : slots()) {
    if (!slot.active() || slot.source != source) continue;
    if (std::ranges::find(places, &slot) != places.end()) continue;
    slot.use.store(Use::kLeaving, std::memory_order_release);
    changed = true;
  }
  size_t without_place = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    const ResolvedPeer& peer = found[i];
    Slot* slot = places[i];
    if (slot != nullptr && slot->active() && slot->HoldsAllOf(peer)) continue;
    if (slot == nullptr) slot = Fits(peer) ? TakePlace() : nullptr;
    if (slot == nullptr) {
      ++without_place;
      continue;
    }
    slot->Write(source, peer);
    slot->use.store(Use::kActive, std::memory_order_release);
    changed = true;
  }
  if (changed) Change();
  return without_place;
}

std::vector<ResolvedPeers::Entry> ResolvedPeers::Peers(uint32_t source) {
  std::vector<Entry> peers;
  for (Slot& slot : slots()) {
    if (slot.active() && slot.source == source) peers.push_back({slot.Read(), &slot.state});
  }
  return peers;
}

std::vector<PeerState*> ResolvedPeers::States() {
  std::vector<PeerState*> states;
  for (Slot& slot : slots()) states.push_back(&slot.state);
  return states;
}

std::vector<PeerState*> ResolvedPeers::StatesInUse() {
  std::vector<PeerState*> states;
  for (Slot& slot : slots()) {
    if (!slot.idle()) states.push_back(&slot.state);
  }
  return states;
}

}  // namespace limpet::shm
