#include "shm/peer_sweep.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace limpet::shm {
namespace {

constexpr uint32_t kSlotsPerStep = 64;

}  // namespace

void PeerSweep::Begin(const SessionTable& table) {
  const std::vector<uint16_t> before = std::exchange(retired_, {});
  for (uint32_t i = 0; i < table.peers().size(); ++i) {
    const auto peer = static_cast<uint16_t>(i);
    if (table.peers().State(peer) == EntryState::kRetired) retired_.push_back(peer);
  }
  due_.clear();
  std::ranges::set_intersection(before, retired_, std::back_inserter(due_));
  walk_ = {};
}

bool PeerSweep::Step(SessionTable* table, uint64_t now_ms) {
  if (due_.empty()) return false;
  const uint16_t peer = due_.back();
  const bool came_back = table->peers().State(peer) != EntryState::kRetired;
  if (!came_back) table->ForgetPeer(peer, kSlotsPerStep, now_ms, &walk_);
  if (came_back || !walk_.more) {
    due_.pop_back();
    walk_ = {};
  }
  return !due_.empty();
}

}  // namespace limpet::shm
