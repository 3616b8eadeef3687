// Where a process can die with half of a change made. In production the hook is null and a point
// costs one predictable branch, under a lock only. The storm test sets it to linger, so that its
// kills land in the middle.
#pragma once

namespace limpet::shm {

enum class DeathPoint {
  kLocked,
  kValueWritten,  // a new session's value, but not its tag
  kTagWritten,    // a new session, not queued nor counted
  kMoveCopied,    // a session in both its buckets
  kMoveCleared,   // moved, but its queue links are those of the old place
  kValueCleared,  // a session removed, its tag still there
  kTagCleared,    // removed, still queued and counted
  kRelinking,     // a queue with one link of two
  kMovingUp,      // a session out of one queue and in no other
  kRebound,       // a session with its new peer, counted for the old
  kRepairing,     // in the middle of a repair
};

inline void (*g_death_hook)(DeathPoint) = nullptr;  // set before forking, by tests only

inline void MayDie(DeathPoint point) {
  if (g_death_hook != nullptr) [[unlikely]]
    g_death_hook(point);
}

}  // namespace limpet::shm
