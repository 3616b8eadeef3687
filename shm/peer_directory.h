// The peers of a zone: a server's id stands for its 16-bit index, which is what sessions hold.
// Indices outlive reloads: a list of servers that is reordered, grown or shrunk moves no session. A
// server that is gone is retired; if it comes back before its entry is needed for another, its
// sessions are its own again.
//
// Ids longer than 64 bytes are kept as their beginning and a hash; the same id always finds the
// same entry.
#pragma once

#include <string>
#include <string_view>

#include "shm/session_layout.h"

namespace limpet::shm {

enum class EntryState : uint32_t { kFree, kActive, kRetired };

class PeerDirectory {
 public:
  PeerDirectory() = default;
  PeerDirectory(ZoneHeader* header, PeerEntry* entries, uint32_t size)
      : header_(header), entries_(entries), size_(size) {}

  uint32_t size() const { return size_; }
  EntryState State(uint16_t peer) const {
    if (peer >= size_) return EntryState::kFree;
    return static_cast<EntryState>(LoadAcquire(entries_[peer].state));
  }
  bool Active(uint16_t peer) const { return State(peer) == EntryState::kActive; }
  std::string Name(uint16_t peer) const;  // empty for an entry that is free
  uint32_t Generation(uint16_t peer) const { return LoadRelaxed(entries_[peer].generation); }
  uint16_t Find(std::string_view id) const;  // active or retired; kNoPeer if there is none

  uint16_t FindOrAdd(std::string_view id);  // revives a retired one; kNoPeer: no free entry
  void Retire(uint16_t peer);
  // Of those retired later than `after`; kNoPeer: none.
  uint16_t LongestRetired(uint16_t after) const;
  bool Free(uint16_t peer);  // a retired one without sessions, so that it can be added anew

 private:
  ZoneHeader* header_ = nullptr;
  PeerEntry* entries_ = nullptr;
  uint32_t size_ = 0;
};

}  // namespace limpet::shm
