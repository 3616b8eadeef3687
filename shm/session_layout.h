// How a session zone looks in memory. Fixed widths, indices and offsets only: processes may map it
// at any address.
//
//   ZoneHeader | SessionCounterLine[counter_lines] | PeerEntry[max_peers] | shard blocks
//
// Shard blocks are all of the same size:
//
//   ShardHead | sessions per peer: u32[max_peers] | QueueLink[lists] | WheelHead[wheels] |
//       BucketGroup[buckets / 4]
//
// The buckets are the only truth; whatever else a shard block holds can be rebuilt from them.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/hash.h"
#include "shm/robust_mutex.h"
#include "shm/session_counters.h"
#include "shm/use_span.h"
#include "shm/words.h"

namespace limpet::shm {

inline constexpr uint16_t kNoPeer = 0xFFFF;
inline constexpr uint32_t kLayoutVersion = 3;
// Its values say nothing of how long a session was in use (those bits are 0), and all else is
// alike: its sessions can be read, and moved to a table of today's.
inline constexpr uint32_t kEarlierLayout = 2;
inline constexpr uint32_t kSlotsPerBucket = 4;
// Lists of looked-up sessions: a wheel for each grade (use_span.h), by the tick of their last use,
// with a level for each four bits of it. And one of those never looked up.
inline constexpr uint32_t kWheelLevels = 5;
inline constexpr uint32_t kWheelBits = 4;
inline constexpr uint32_t kWheelDigits = 1u << kWheelBits;
inline constexpr uint32_t kWheelLists = kWheelLevels * kWheelDigits;
inline constexpr uint32_t kLists = kGrades * kWheelLists + 1;
inline constexpr uint32_t kArrangement = 0x101;  // of those lists
inline constexpr uint32_t kNil = 0xFFFF'FFFF;
inline constexpr uint64_t kTickMs = 100;  // 2^32 ticks are 13 years of uptime

// Ticks begin late, so that a session idle since before the machine started has a time too; 0 never
// is one.
inline constexpr uint32_t kFirstTick = 1u << 28;  // 310 days

constexpr uint32_t TickOf(uint64_t boot_ms) {
  return static_cast<uint32_t>(boot_ms / kTickMs) + kFirstTick;
}

// A session's changing half, in one word so that it is read and changed at once.
//   last use in ticks: 32 | was looked up: 1 | fingerprint beyond the tag: 15 | UseSpan: 6 |
//   peer: 10.   0: no session.
inline constexpr uint32_t kPeerBits = 10;
inline constexpr uint16_t kPeerMask = (1u << kPeerBits) - 1;
struct Value {
  uint64_t bits = 0;

  static constexpr Value Of(uint32_t tick, bool referenced, uint16_t fingerprint, uint16_t peer,
                            UseSpan span = {}) {
    return {uint64_t{tick} << 32 | uint64_t{referenced} << 31 | uint64_t{fingerprint} << 16 |
            uint64_t{span.code()} << kPeerBits | (peer & kPeerMask)};
  }
  constexpr uint32_t tick() const { return static_cast<uint32_t>(bits >> 32); }
  constexpr bool referenced() const { return (bits >> 31 & 1) != 0; }
  constexpr uint16_t fingerprint() const { return static_cast<uint16_t>(bits >> 16 & 0x7FFF); }
  constexpr uint16_t peer() const { return static_cast<uint16_t>(bits & kPeerMask); }
  constexpr UseSpan span() const { return UseSpan(bits >> kPeerBits & 0x3F); }
  constexpr Value UsedAt(uint32_t at) const {
    return Of(at, true, fingerprint(), peer(), span().Used(tick(), at));
  }
  // Used at that tick too, of which the last use's is none: it runs from creation.
  constexpr Value UsedSinceCreationTo(uint32_t now) const {
    return Of(tick(), true, fingerprint(), peer(), std::max(span(), UseSpan().Used(tick(), now)));
  }
  constexpr Value BoundTo(uint16_t peer) const {
    return Of(tick(), referenced(), fingerprint(), peer, span());
  }
  constexpr bool operator==(const Value&) const = default;
};

// One cache line, four slots. A slot holds a session iff both its words are set. Read without a
// lock: always through atomic_ref. Who fills a slot writes val before tag; who empties it, val
// before tag too.
struct alignas(64) Bucket {
  uint64_t tag[kSlotsPerBucket];  // 64 bits of the keyed hash; 0: empty
  uint64_t val[kSlotsPerBucket];  // Value
};
static_assert(std::is_trivially_copyable_v<Bucket> && sizeof(Bucket) == 64);

// Slots or list heads of the same shard. Two bytes each: what is saved here is room for slots, and
// a table that is less full needs fewer moves. The highest bits of a slot's two say in which queue
// it stands: 0 that of those never looked up, else the wheel of the grade below that.
struct QueueLink {
  static constexpr uint32_t kMax = 0x7FFF;  // the highest index
  static constexpr uint32_t kHigh = 0x8000;

  uint16_t next_, prev_;

  uint32_t next() const { return next_ & kMax; }
  uint32_t prev() const { return prev_ & kMax; }
  uint32_t queue() const { return uint32_t{next_} >> 15 | uint32_t{prev_} >> 15 << 1; }
  void SetNext(uint32_t next) { next_ = static_cast<uint16_t>((next_ & kHigh) | next); }
  void SetPrev(uint32_t prev) { prev_ = static_cast<uint16_t>((prev_ & kHigh) | prev); }
  static QueueLink Of(uint32_t next, uint32_t prev, uint32_t queue = 0) {
    return {static_cast<uint16_t>(next | queue << 15),
            static_cast<uint16_t>(prev | queue >> 1 << 15)};
  }
};
static_assert(std::is_trivially_copyable_v<QueueLink> && sizeof(QueueLink) == 4);
inline constexpr uint32_t kQueues = kGrades + 1;
static_assert(kQueues <= 4);

struct WheelHead {
  uint32_t base;         // the tick that the places in the wheel are reckoned from
  uint32_t newest_tick;  // no session stands at a later one
  uint32_t sessions;     // that stand in it
  uint32_t unused;
};
static_assert(std::is_trivially_copyable_v<WheelHead> && sizeof(WheelHead) == 16);

// All of a shard's lists and wheels: as much as one wheel of 256 lists took in the earlier layout,
// so that zones of both hold the same.
inline constexpr uint32_t kQueueBytes = 257 * sizeof(QueueLink);
static_assert(kLists * sizeof(QueueLink) + kGrades * sizeof(WheelHead) <= kQueueBytes);

// What a change touches beside its slot is on the same page: most of an insert's time goes into
// finding pages.
inline constexpr uint32_t kBucketsPerGroup = 4;
struct alignas(64) BucketGroup {
  Bucket buckets[kBucketsPerGroup];
  QueueLink links[kBucketsPerGroup * kSlotsPerBucket];
};
static_assert(std::is_trivially_copyable_v<BucketGroup> && sizeof(BucketGroup) == 320);

// glibc's mutex takes 40 bytes on amd64 and 48 on arm64, where what has one inside is a line
// longer.
static_assert(sizeof(RobustMutex) == 40 || sizeof(RobustMutex) == 48);
inline constexpr size_t kLineOfLock = sizeof(RobustMutex) == 40 ? 0 : 64;

struct ShardHead {
  RobustMutex lock;  // guards the whole block but the readers' atomics
  uint32_t live;     // sessions in the buckets (atomic: others read it)
  uint32_t fresh;    // of them, those in the list of the never looked up
  uint32_t unused;
  uint32_t arrangement;  // kArrangement; else another binary made the lists: they are made anew
  uint32_t oldest_tick;  // no session here is older (atomic: collectors glance at it)
  uint32_t unused_too;
  // Grows before a slot is emptied by a move (atomic: lookups that missed compare it).
  alignas(64) uint32_t moves;
  // How fast new sessions come, by samples of them: this line is seldom written.
  uint32_t pace_samples;  // since pace_tick
  uint32_t pace_tick;
  uint32_t touch_ticks;  // instead of the policy's (atomic)
  uint32_t touch_until;  // until that tick (atomic)
};
static_assert(std::is_trivially_copyable_v<ShardHead> && sizeof(ShardHead) == 128 + kLineOfLock);

struct PeerEntry {
  static constexpr size_t kMaxName = 64;
  uint32_t state;        // EntryState (atomic; written last)
  uint32_t generation;   // how often the entry has changed hands
  uint32_t retired_seq;  // order of retirement: the longest retired is reused first
  uint32_t name_size;
  char name[kMaxName];
};
static_assert(std::is_trivially_copyable_v<PeerEntry> && sizeof(PeerEntry) == 80);

// Everything that follows from the zone's size.
struct Geometry {
  static constexpr uint64_t kBytesPerPeer = 8192;  // of a zone, for each server that it knows
  static constexpr uint32_t kMostPeers = 1u << kPeerBits;  // of any zone

  uint64_t bytes;
  uint32_t counter_lines;
  uint32_t max_peers;
  uint32_t shards;
  uint32_t buckets;         // of each shard
  uint32_t shard_capacity;  // sessions a shard takes: three slots in four, so that one of a key's
                            // two buckets nearly always has a free one
  uint32_t shard_bytes;
  uint64_t peers_offset;
  uint64_t shards_offset;

  static Geometry For(size_t bytes);
  uint32_t Slots() const { return buckets * kSlotsPerBucket; }
  uint64_t Capacity() const { return uint64_t{shards} * shard_capacity; }
  bool operator==(const Geometry&) const = default;
};
static_assert(std::is_trivially_copyable_v<Geometry> && sizeof(Geometry) == 48);

// SessionPolicy as the table uses it.
struct PolicyView {
  uint32_t timeout_ticks;
  uint8_t touch_ticks;  // a use is written down only if the last one is at least that old
  uint8_t unused;
  bool norefresh;
  bool rotate;

  static PolicyView For(uint64_t timeout_ms, bool norefresh, bool rotate);
  static PolicyView Unpack(uint64_t word) { return std::bit_cast<PolicyView>(word); }
  uint64_t Pack() const { return std::bit_cast<uint64_t>(*this); }

  static uint32_t Age(uint32_t tick, uint32_t now) { return now > tick ? now - tick : 0; }
  bool Expired(uint32_t tick, uint32_t now) const { return Age(tick, now) > timeout_ticks; }
};
static_assert(sizeof(PolicyView) == 8);

struct ZoneHeader {
  char magic[8];
  uint32_t version;
  uint32_t crc;  // of geometry and key
  Geometry geometry;
  SipKey key;
  uint32_t superseded;              // not 0: another table has all of its sessions (atomic)
  alignas(64) uint64_t timeout_ms;  // the policy as it was given (atomic)
  uint64_t policy;                  // and as it is used: PolicyView::Pack() (atomic)
  uint32_t retirements;             // of peers, so far
  uint32_t fill_limits;             // in thousandths: minor, major << 10, crit << 20 (atomic)
  RobustMutex peers_lock;
};
static_assert(std::is_trivially_copyable_v<ZoneHeader> && sizeof(ZoneHeader) == 192 + kLineOfLock);

}  // namespace limpet::shm
