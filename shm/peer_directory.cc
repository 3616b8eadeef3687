#include "shm/peer_directory.h"

#include <algorithm>
#include <cstring>

#include "base/hash.h"
#include "base/text.h"

namespace limpet::shm {
namespace {

std::string Shorten(std::string_view id) {
  if (id.size() <= PeerEntry::kMaxName) return std::string(id);
  const Digest128 hash = SipHash128(id, SipKey{});
  const std::string tail = "#" + HexLower(hash.data(), sizeof hash[0]);
  return std::string(id.substr(0, PeerEntry::kMaxName - tail.size())) + tail;
}

std::string_view NameOf(const PeerEntry& entry) {
  return {entry.name, std::min<size_t>(entry.name_size, PeerEntry::kMaxName)};
}

}  // namespace

std::string PeerDirectory::Name(uint16_t peer) const {
  if (State(peer) == EntryState::kFree) return "";
  return std::string(NameOf(entries_[peer]));
}

uint16_t PeerDirectory::Find(std::string_view id) const {
  const std::string name = Shorten(id);
  for (uint16_t peer = 0; peer < size_; ++peer) {
    if (State(peer) != EntryState::kFree && NameOf(entries_[peer]) == name) return peer;
  }
  return kNoPeer;
}

// The state is written last: a death inside leaves an entry that is free or complete.
uint16_t PeerDirectory::FindOrAdd(std::string_view id) {
  const RobustGuard guard(header_->peers_lock);
  const uint16_t known = Find(id);
  if (known != kNoPeer) {
    StoreRelease(entries_[known].state, static_cast<uint32_t>(EntryState::kActive));
    return known;
  }
  for (uint16_t peer = 0; peer < size_; ++peer) {
    PeerEntry& entry = entries_[peer];
    if (State(peer) != EntryState::kFree) continue;
    const std::string name = Shorten(id);
    std::memcpy(entry.name, name.data(), name.size());
    entry.name_size = static_cast<uint32_t>(name.size());
    StoreRelaxed(entry.generation, entry.generation + 1);
    StoreRelease(entry.state, static_cast<uint32_t>(EntryState::kActive));
    return peer;
  }
  return kNoPeer;
}

void PeerDirectory::Retire(uint16_t peer) {
  const RobustGuard guard(header_->peers_lock);
  if (!Active(peer)) return;
  entries_[peer].retired_seq = ++header_->retirements;
  StoreRelease(entries_[peer].state, static_cast<uint32_t>(EntryState::kRetired));
}

uint16_t PeerDirectory::LongestRetired(uint16_t after) const {
  const RobustGuard guard(header_->peers_lock);
  const uint32_t past = after == kNoPeer ? 0 : entries_[after].retired_seq;
  uint16_t best = kNoPeer;
  for (uint16_t peer = 0; peer < size_; ++peer) {
    if (State(peer) != EntryState::kRetired || entries_[peer].retired_seq <= past) continue;
    if (best == kNoPeer || entries_[peer].retired_seq < entries_[best].retired_seq) best = peer;
  }
  return best;
}

bool PeerDirectory::Free(uint16_t peer) {
  const RobustGuard guard(header_->peers_lock);
  if (State(peer) != EntryState::kRetired) return false;
  StoreRelease(entries_[peer].state, static_cast<uint32_t>(EntryState::kFree));
  return true;
}

}  // namespace limpet::shm
