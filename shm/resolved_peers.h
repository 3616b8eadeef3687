// The peers that name servers have given for the servers of one upstream (`resolve`): a fixed table
// in memory that all workers share and that outlives reloads. One worker at a time writes what it
// has learned (Replace); every worker compares version() when it chooses a peer and takes a new
// list when it has changed.
//
// A peer that is not named any more leaves: it takes no new request, and its place is free for
// another as soon as its last request has ended (its state counts none). A peer that is named again
// meanwhile, or that stays, keeps its place and with it its state.
//
// Everything but version() is done under the lock of the group's PeerStates. A death inside leaves
// each place whole: the use of a place is written after what is in it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/socket_address.h"
#include "shm/peer_state.h"

namespace limpet::shm {

// The `server` of an upstream that is resolved at run time.
struct ServerName {
  std::string host;
  std::string service;  // looked up as SRV records; "": addresses of the host
  uint16_t port = 0;    // without service

  bool operator==(const ServerName&) const = default;
};

// One address, as a name server gave it.
struct ResolvedPeer {
  SocketAddress address;  // IP, with its port
  std::string target;     // of an SRV record: the name that has the address; else ""
  uint32_t weight = 0;    // of an SRV record; 0: the server's own
  bool backup = false;    // of an SRV record that is not of the first priority

  bool operator==(const ResolvedPeer&) const = default;
};

class ResolvedPeers {
 public:
  static size_t BytesFor(uint32_t capacity);
  // Fresh memory, all zero and aligned to a cache line.
  static ResolvedPeers* Format(std::byte* memory, uint32_t capacity);

  // Changes with every change of the table. Without the lock it may be out of date at once.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }
  uint32_t capacity() const { return capacity_; }

  // A name has been answered: its peers are exactly these, if any. Returns how many found no place.
  // `source` is what PeerStates::sources() calls the name.
  size_t Replace(uint32_t source, std::span<const ResolvedPeer> found);
  // Whether it has, with whatever result. Not known of more names without peers than there are
  // places.
  bool Answered(uint32_t source);
  void Forget(uint32_t source);  // the name is no server's any more

  struct Entry {
    ResolvedPeer peer;
    PeerState* state;
  };
  std::vector<Entry> Peers(uint32_t source);  // in no order
  std::vector<PeerState*> States();           // of all places ever used
  std::vector<PeerState*> StatesInUse();      // of those that are active, or have connections left
  // A process died under the lock: workers take a new list, whatever it had come to.
  void OnRepair() { Change(); }

 private:
  enum class Use : uint32_t { kFree, kActive, kLeaving };
  struct Slot;

  ResolvedPeers() = default;
  std::span<Slot> slots();
  std::span<std::atomic<uint32_t>> answered();
  bool NoteAnswer(uint32_t source);
  Slot* Find(uint32_t source, const ResolvedPeer& peer, std::span<Slot* const> taken);
  Slot* TakePlace();
  void Change() { version_.fetch_add(1, std::memory_order_release); }

  std::atomic<uint64_t> version_{1};
  uint32_t capacity_ = 0;
  uint32_t used_ = 0;  // places below were used at some time
};

}  // namespace limpet::shm
