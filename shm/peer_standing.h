// Whether a peer is in service: its failures, its health, its drain. Of an upstream without `zone`
// each worker has its own; with it the workers of a limpet have one, and while a change of the
// binary (SIGUSR2) lets two run, both binaries have the same one (PeerBook): what either learns or
// is told holds in the other at once, whichever of them goes on.
//
// Each field is written alone: there is nothing that a death could leave half done. Times are
// CLOCK_MONOTONIC milliseconds.
#pragma once

#include <atomic>
#include <cstdint>

namespace limpet::shm {

enum PeerFlag : uint32_t {
  kPeerDown = 1u << 0,        // set at run time: takes nothing
  kPeerDraining = 1u << 1,    // set at run time: bound sessions only
  kPeerUnhealthy = 1u << 2,   // by active checks: failing_checks is not 0
  kPeerDrained = 1u << 3,     // it drains, and its last session and connection have ended
  kPeerDrainKeeps = 1u << 4,  // tunnels and streams outlive its drain's deadline
};

struct alignas(8) PeerStanding {
  std::atomic<uint32_t> fails{0};
  std::atomic<uint32_t> flags{0};        // PeerFlag
  std::atomic<uint64_t> accessed_ms{0};  // last failure
  std::atomic<uint64_t> checked_ms{0};   // last failure, or when it was last given a chance
  std::atomic<uint64_t> started_ms{0};   // slow start counts from here; 0: not slow starting
  // Drain deadline: from then on not even its own sessions' requests go there. 0: none.
  std::atomic<uint64_t> drain_until_ms{0};
  // One bit for each health_check of the upstream, in the order of conf::Upstream::checks. Written
  // by the worker that probes.
  std::atomic<uint32_t> failing_checks{0};
  // Of a drain that was set at run time: so many of its idle sessions go to other servers each
  // second. 0: none.
  std::atomic<uint32_t> drain_move{0};

  void CopyFrom(const PeerStanding& other) {
    constexpr auto kRelaxed = std::memory_order_relaxed;
    const auto copy = [](auto& to, const auto& from) { to.store(from.load(kRelaxed), kRelaxed); };
    copy(fails, other.fails);
    copy(accessed_ms, other.accessed_ms);
    copy(checked_ms, other.checked_ms);
    copy(started_ms, other.started_ms);
    copy(drain_until_ms, other.drain_until_ms);
    copy(failing_checks, other.failing_checks);
    copy(drain_move, other.drain_move);
    copy(flags, other.flags);
  }
};
static_assert(sizeof(PeerStanding) == 48);

}  // namespace limpet::shm
