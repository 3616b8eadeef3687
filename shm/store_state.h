// What the workers of one machine share of a session zone that is also kept in a store
// (worker/store): the clock of its changes, which of them are newer than those that other machines
// send, and figures. Lies in zeroed shared memory that the master maps before it forks, and lives
// over reloads. Any worker may call anything; nothing takes a lock but the lease.
#pragma once

#include <array>
#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "shm/robust_mutex.h"
#include "shm/session_table.h"
#include "shm/store_relay.h"
#include "shm/store_workers.h"

namespace limpet::shm {

// Orders the changes of a session over all machines: a hybrid logical clock (Kulkarni et al.,
// "Logical Physical Clocks", 2014). Always: a change made after another one was seen is newer,
// whatever the machines' clocks say, as long as they are not kMostAheadMs apart.
struct StoreVersion {
  uint64_t time = 0;     // wall milliseconds << 16 | count within the millisecond
  uint16_t machine = 0;  // its number, with kChange

  static constexpr int kCountBits = 16;
  // Clear where a session is only written anew, which gives way to every change of the same time:
  // it may have been read before that change was made.
  static constexpr uint16_t kChange = 0x8000;
  constexpr uint64_t wall_ms() const { return time >> kCountBits; }
  constexpr bool IsChange() const { return (machine & kChange) != 0; }
  constexpr bool IsOf(uint16_t other) const { return ((machine ^ other) & ~kChange) == 0; }
  constexpr auto operator<=>(const StoreVersion&) const = default;
};

// A clock that far ahead is wrong: no machine follows it.
inline constexpr uint64_t kMostAheadMs = 24 * 60 * 60 * 1000;

// Of a StoreVersion, where the wall says `wall_ms`. Pure.
constexpr bool IsCredible(uint64_t time, uint64_t wall_ms) {
  return time >> StoreVersion::kCountBits <= wall_ms + kMostAheadMs;
}

// The clock's next time after `last`, where the wall says `wall_ms`; one that was wrong, and has
// been set right, begins anew. So does one that was right and is set back by more than a day: no
// machine can tell the two apart by itself. While it stands behind, its changes give way to
// others'; with a time to come they would be believed by nobody. Pure.
constexpr uint64_t NextStoreTime(uint64_t last, uint64_t wall_ms) {
  const uint64_t wall = wall_ms << StoreVersion::kCountBits;
  const bool was_wrong = last > (wall_ms + kMostAheadMs) << StoreVersion::kCountBits;
  return wall > last || was_wrong ? wall : last + 1;
}

// All only grow but the gauges.
struct StoreFigures {
  std::atomic<uint64_t> asked, found, unknown, timed_out;
  std::atomic<uint64_t> refused;  // questions that were not asked: too many waited
  std::atomic<uint64_t> skipped;  // questions that were not asked: the store was away
  std::atomic<uint64_t> written;  // changes that the store has taken
  std::atomic<uint64_t> stale;    // changes that it had a newer one of
  std::atomic<uint64_t> renewed;  // deadlines
  std::atomic<uint64_t> applied;  // changes of other machines that came into the zone
  std::atomic<uint64_t> dropped;  // changes that were given up: too many waited
  std::atomic<uint64_t> invalid;  // records and replies that could not be read
  std::atomic<uint64_t> losses;   // how often the store was lost
  std::atomic<int64_t> lag_ms;    // gauge: the age of the newest change when it was applied
  std::atomic<uint64_t> lost_ms;  // gauge: since when the store is away, in BootMs; 0: it is there
  // gauge: since when nobody hears of the changes of other machines, in BootMs; 0: somebody does
  std::atomic<uint64_t> deaf_ms;
  static constexpr uint64_t kDeafMs = 2'000;  // before that is a loss: connections are made again
  std::atomic<uint32_t> deaf_told;            // whether the log has been told of that
  std::atomic<uint64_t> dropped_before;       // `dropped` when it was lost
  StoreWorkers workers;
};

class StoreState {
 public:
  // Once, by the master, on zeroed memory. `machine`, without kChange, tells this machine's changes
  // from others'.
  void Init(uint16_t machine);
  bool IsInitialised() const { return machine_.load(std::memory_order_relaxed) != 0; }

  // Of a change that is made now. Where the clock begins anew, all sessions are due to be written
  // anew: nobody believes what was told by it before.
  StoreVersion Next(uint64_t wall_ms);
  void Observe(const StoreVersion& seen);  // by another machine: later ones of ours are newer

  // The newest version of a session that this machine has made or applied, as far as it remembers:
  // a few thousand, the newest of those that share a place. One that is not credible is none.
  // `is_end`: it is the session's end.
  void Note(uint64_t tag, const StoreVersion& version, uint64_t wall_ms, bool is_end = false);
  bool HasNewer(uint64_t tag, const StoreVersion& version, uint64_t wall_ms) const {
    return NotedTime(tag, wall_ms) > version.time;
  }
  // Of that version; 0: it is not remembered.
  uint64_t NotedTime(uint64_t tag, uint64_t wall_ms) const;
  // The same, if that is the session's end.
  uint64_t NotedEnd(uint64_t tag, uint64_t wall_ms) const;

  // Leaves changes that were made in the zone (`peer` of the records: where the sessions live now)
  // for the worker that tells the store. False: some were dropped, as there was no room for them;
  // whoever looks at relay.Room() first may say so before anything changes. May throw LockBusy.
  bool Relay(std::span<const SessionRecord> changed, const PeerDirectory& peers, uint64_t wall_ms);

  // Changes that are not in the store yet, of workers and of those who left theirs. May throw
  // LockBusy.
  uint64_t Waiting() const {
    return figures.workers.Waiting() + StoreRelay::kPlaces - relay.Room();
  }

  uint16_t machine() const {  // of its changes: with kChange
    return machine_.load(std::memory_order_relaxed) | StoreVersion::kChange;
  }
  RobustMutex& follow_mutex() { return follow_mutex_; }  // a shm::Lease: who reads the changes

  StoreFigures figures;
  StoreRelay relay;
  // Of the worker with the lease: the id of the last change that was applied ("ms-count"; 0-0:
  // none), and since when sessions of the zone may have been changed elsewhere unheard (BootMs; 0:
  // never). Those that were last used before that are asked for when they are used.
  std::atomic<uint64_t> last_ms, last_count;
  std::atomic<uint64_t> unsure_before_ms;
  // The same worker's: changes up to this id had been applied when the reading began anew, and are
  // no news; and whether all sessions of the zone are still to be written to the store anew.
  std::atomic<uint64_t> heard_ms, heard_count;
  std::atomic<uint64_t> all_due;

 private:
  static constexpr size_t kNotes = 8192;
  static constexpr uint64_t kBeingWritten = ~uint64_t{0};  // in the place of `mixed`
  // Both words belong together if key ^ value is the tag: no reader takes one of another writer.
  // `time` is a version's, with a mark of an end.
  struct NoteLine {
    std::atomic<uint64_t> mixed, time;
  };
  uint64_t Noted(uint64_t tag, uint64_t wall_ms) const;

  RobustMutex follow_mutex_;
  std::atomic<uint64_t> clock_;
  std::atomic<uint16_t> machine_;
  std::array<NoteLine, kNotes> notes_;
};
static_assert(std::is_trivially_destructible_v<StoreState>);

// One in memory of its own, as the master keeps it: what is in there already goes on.
class StoreMemory {
 public:
  static constexpr size_t kBytes = sizeof(StoreState);
  // Another number whenever the meaning of a field changes.
  static constexpr uint64_t Layout() { return uint64_t{1} << 32 | sizeof(StoreState); }

  StoreMemory(std::byte* memory, size_t bytes);
  StoreState* state() { return state_; }

 private:
  StoreState* state_;
};

}  // namespace limpet::shm
