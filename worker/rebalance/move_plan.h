// Which servers give sessions, which take them, and how many: so that each has its share by weight,
// or that one that drains is empty. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace limpet::worker {

enum class LoadRole : uint8_t {
  kShares,  // in service: it gives what it has too much, and takes what it lacks
  kLeaves,  // it drains, and its sessions are to go
  kAway     // of neither kind: its sessions do not count
};

struct ServerLoad {
  uint64_t sessions = 0;
  int weight = 1;
  LoadRole role = LoadRole::kShares;
};

// What a server is to have at the end; of those that share: whole numbers, whose sum is what they
// have now. Where a share is no whole number, who has more already keeps the one beyond it.
std::vector<uint64_t> EvenTargets(std::span<const ServerLoad> loads);

// No server that shares is further from its share than that part of it, or than one session.
bool IsEven(std::span<const ServerLoad> loads, double threshold);

constexpr size_t kNobody = SIZE_MAX;
// Who has the fewest sessions for its weight, as least_sessions would choose; kNobody: no server
// shares.
size_t LeastLoaded(std::span<const ServerLoad> loads);

}  // namespace limpet::worker
