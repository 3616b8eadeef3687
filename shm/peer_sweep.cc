#include "shm/peer_sweep.h"

#include <algorithm>
#include <utility>

namespace limpet::shm {
namespace {

constexpr uint32_t kSlotsPerStep = 64;

// Of the quarter of all entries that new servers shall find.
size_t MissingEntries(const SessionTable& table, const std::vector<uint16_t>& retired) {
  const PeerDirectory& peers = table.peers();
  size_t free = 0;
  for (uint32_t i = 0; i < peers.size(); ++i)
    free += peers.State(static_cast<uint16_t>(i)) == EntryState::kFree ? 1u : 0u;
  const size_t wanted = peers.size() / 4;
  for (size_t i = 0; i < retired.size() && free < wanted; ++i)
    free += table.PeerLive(retired[i]) == 0 ? 1u : 0u;
  return wanted - std::min(wanted, free);
}

}  // namespace

void PeerSweep::Begin(const SessionTable& table) {
  const std::vector<uint16_t> before = std::exchange(retired_, {});
  for (uint32_t i = 0; i < table.peers().size(); ++i) {
    const auto peer = static_cast<uint16_t>(i);
    if (table.peers().State(peer) == EntryState::kRetired) retired_.push_back(peer);
  }
  due_.clear();
  walk_ = {.earlier = PeerWalk::kNoEarlier};
  const size_t missing = MissingEntries(table, retired_);
  uint16_t peer = kNoPeer;
  while (due_.size() < missing) {
    peer = table.peers().LongestRetired(peer);
    if (peer == kNoPeer) break;
    if (table.PeerLive(peer) > 0 && std::ranges::binary_search(before, peer)) due_.push_back(peer);
  }
  std::ranges::reverse(due_);
}

bool PeerSweep::Step(SessionTable* table, uint64_t now_ms) {
  if (due_.empty()) return false;
  const uint16_t peer = due_.back();
  const bool came_back = table->peers().State(peer) != EntryState::kRetired;
  if (!came_back) table->ForgetPeer(peer, kSlotsPerStep, now_ms, &walk_);
  if (came_back || !walk_.more) {
    due_.pop_back();
    walk_ = {.earlier = PeerWalk::kNoEarlier};
  }
  return !due_.empty();
}

}  // namespace limpet::shm
