// One shard of a session table: a two-choice hash table of four-slot buckets, and queues that say
// which session to give up next. Find() and Use() need no lock; everything else is called by the
// holder of a ShardLock.
//
// A session's two buckets follow from its tag alone, so that it can be moved to its other bucket,
// or to a table of another size, without its key.
//
// Queues: sessions never looked up stand in one list, in order of creation; the others in wheels of
// lists, one for each grade of how long they were in use (use_span.h), by the tick of their last
// use: coarser the later they are, and to the tick at the front (shard_wheel.cc). A use does not
// move a session: it stands where it stood, at its place or an earlier one, in its wheel or one of
// a lower grade, until it gets to the front and is put where it belongs then.
#pragma once

#include <cstdint>
#include <string>

#include "shm/session_layout.h"

namespace limpet::shm {

struct Fingerprint {
  uint64_t tag;
  uint16_t extra;  // 15 bits

  static Fingerprint Of(const Digest128& hash) {
    return {hash[0] != 0 ? hash[0] : 1, static_cast<uint16_t>(hash[1] & 0x7FFF)};
  }
};

// Where a slot was found and what it held then.
struct Slot {
  uint32_t index = kNil;
  Value value;
  explicit operator bool() const { return index != kNil; }
};

class Shard {
 public:
  enum class Placed { kYes, kFull };  // kFull: no free slot within reach

  Shard(std::byte* block, const Geometry& geometry);  // geometry must outlive it

  // The share [0, n) that a 32-bit hash falls into.
  static uint32_t Scale(uint64_t hash32, uint32_t n) {
    return static_cast<uint32_t>((hash32 & 0xFFFF'FFFF) * n >> 32);
  }
  static uint32_t IndexOf(uint64_t tag, uint32_t shards) {
    return Scale(tag * 0x9E37'79B9'7F4A'7C15 >> 32, shards);
  }
  uint32_t First(uint64_t tag) const { return Scale(tag, bucket_count_); }
  uint32_t Second(uint64_t tag) const { return Scale(tag >> 32, bucket_count_); }

  // --- Without a lock.
  Slot Find(const Fingerprint& key) const;
  // Writes down that the session was used now. False: it is not in that slot any more.
  bool Use(const Fingerprint& key, const Slot& slot, const PolicyView& policy, uint32_t now) const;
  uint32_t TouchTicks(const PolicyView& policy, uint32_t now) const;
  uint32_t Live() const { return LoadRelaxed(head_->live); }
  uint32_t Live(uint16_t peer) const { return LoadRelaxed(per_peer_[peer]); }
  // False if nothing can have expired: not worth a lock.
  bool WorthCollecting(const PolicyView& policy, uint32_t now) const {
    return policy.Expired(LoadRelaxed(head_->oldest_tick), now);
  }

  // Fetches what an Insert() of this key will touch, so that nobody waits for it under the lock.
  // Inlined, because the compiler takes a function that only fetches for one that does nothing.
  [[gnu::always_inline]] void Prefetch(const Fingerprint& key) const {
    __builtin_prefetch(head_, 1);
    __builtin_prefetch(&Link(FreshList()), 1);
    for (const uint32_t bucket : {First(key.tag), Second(key.tag)}) {
      __builtin_prefetch(&BucketAt(bucket), 1);
      __builtin_prefetch(&Link(bucket * kSlotsPerBucket), 1);
    }
  }

  // --- Under the lock.
  // Of all that are here: what comes from another table comes newest first.
  enum class Age { kNewest, kOldest };
  Placed Insert(const Fingerprint& key, Value value, Age age);
  bool Remove(const Slot& slot);  // false: it was used meanwhile (its value is another)
  bool Rebind(const Slot& slot, Value value);  // the same key, another value; false as above
  void Renew(const Slot& slot);  // after Rebind(): to the end of the list of the never looked up
  bool Full() const { return head_->live >= geometry_->shard_capacity; }

  // Removes the session to give up next: an expired one, else the one idle longest, where those
  // never looked up have little to say for themselves, and those in use for long have some grace
  // (NextToGo). Only the first kind if `only_expired`. What it removed, if anything:
  enum class Gave { kNothing, kExpired, kLive };
  Gave GiveUp(const PolicyView& policy, uint32_t now, bool only_expired);
  void Tidy();  // some of the queues' work ahead of time
  // One of a key's own two buckets, by the same order: when they cannot be got free otherwise.
  bool GiveUpNear(const Fingerprint& key);
  // Removes expired sessions, looking at up to *budget ones. True: there may be more.
  bool Collect(const PolicyView& policy, uint32_t now, uint32_t* budget, uint64_t* collected);

  // Makes everything that follows from the buckets anew, and the buckets consistent, whatever they
  // were.
  void Repair(uint32_t now);
  void Requeue();  // the queues only
  void InitLock() const { head_->lock.Init(); }

  ShardHead& head() const { return *head_; }
  Slot At(uint32_t index) const;  // empty if there is no session
  uint64_t TagAt(uint32_t index) const { return LoadAcquire(TagOf(index)); }
  uint32_t SlotCount() const { return slot_count_; }
  std::string Check(uint32_t now) const;

 private:
  struct Path;

  Bucket& BucketAt(uint32_t bucket) const {
    return groups_[bucket / kBucketsPerGroup].buckets[bucket % kBucketsPerGroup];
  }
  // Of a slot or, from slot_count_ on, of a list.
  QueueLink& Link(uint32_t index) const {
    if (index >= slot_count_) return lists_[index - slot_count_];
    constexpr uint32_t kLinks = kBucketsPerGroup * kSlotsPerBucket;
    return groups_[index / kLinks].links[index % kLinks];
  }
  uint64_t& TagOf(uint32_t slot) const {
    return BucketAt(slot / kSlotsPerBucket).tag[slot % kSlotsPerBucket];
  }
  uint64_t& ValOf(uint32_t slot) const {
    return BucketAt(slot / kSlotsPerBucket).val[slot % kSlotsPerBucket];
  }
  Slot FindIn(uint32_t bucket, const Fingerprint& key) const;
  uint32_t FreeIn(uint32_t bucket) const;
  void Fill(uint32_t slot, const Fingerprint& key, Value value, Age age);

  // shard_moves.cc: making room by moving sessions to their other buckets.
  uint32_t MakeRoom(uint64_t tag);
  void Expand(Path* path, uint32_t n) const;
  bool Follow(const Path& path, uint32_t* freed);
  void Move(uint32_t from, uint32_t to);
  static void Merge(uint64_t& into, Value other);

  // shard_queue.cc
  uint32_t FreshList() const { return slot_count_; }
  bool Empty(uint32_t list) const { return Link(list).next() == list; }
  void ResetQueues();
  void Unlink(uint32_t slot);
  void LinkBefore(uint32_t slot, uint32_t next, uint32_t queue);
  void TakeOver(uint32_t from, uint32_t to);  // `to` stands where `from` stood
  void LinkFresh(uint32_t slot, uint32_t next);
  void MoveUp(const Slot& slot);  // to the wheel of its grade
  Slot OldestFresh(uint32_t* budget);
  Slot NewestFresh() const;
  Slot FrontOf(uint32_t queue);
  void FindFronts(const PolicyView& policy, uint32_t now, Slot (&fronts)[kQueues]);
  bool HasItsShare(uint32_t queue) const;
  uint32_t In(uint32_t queue) const {
    return queue == 0 ? head_->fresh : wheels_[queue - 1].sessions;
  }
  uint32_t NextToGo(const Slot (&fronts)[kQueues], const PolicyView& policy, uint32_t now) const;
  void PrefetchFront(uint32_t queue) const;
  void NotePace(uint64_t tag, uint32_t now);
  void NoteOldest(const PolicyView& policy, uint32_t now, uint32_t* budget);
  bool CollectOne(const PolicyView& policy, uint32_t now, uint32_t* budget);

  // shard_wheel.cc; `grade` is the wheel's.
  uint32_t WheelList(uint32_t grade, uint32_t level, uint32_t digit) const {
    return slot_count_ + 1 + grade * kWheelLists + level * kWheelDigits + digit % kWheelDigits;
  }
  void BeginWheel(uint32_t grade, uint32_t tick);
  void PushWheel(uint32_t slot, uint32_t grade, uint32_t tick);
  void LinkAt(uint32_t slot, uint32_t grade, uint32_t tick);
  uint32_t PlaceOf(uint32_t grade, uint32_t tick) const;
  void TurnBack(uint32_t grade, uint32_t tick);
  void Splice(uint32_t list, uint32_t to);
  uint32_t FrontList(uint32_t grade);
  uint32_t NextList(uint32_t grade, uint32_t level, uint32_t from);
  uint32_t NextAhead(uint32_t grade, uint32_t level, uint32_t from) const;
  Slot OldestSpread(uint32_t grade) const;
  Slot NewestUsed(uint32_t grade) const;
  Slot OldestUsed(uint32_t grade, uint32_t* budget);

  // shard_repair.cc
  void CheckSlots(uint32_t now);
  void DropDuplicates(uint32_t slot);
  void Recount();
  void FreshFromWheel();
  uint32_t QueueOfList(uint32_t list) const {
    return list == FreshList() ? 0 : (list - slot_count_ - 1) / kWheelLists + 1;
  }
  uint32_t OldestTick() const;

  const Geometry* geometry_;
  ShardHead* head_;
  uint32_t* per_peer_;
  QueueLink* lists_;
  WheelHead* wheels_;
  BucketGroup* groups_;
  uint32_t bucket_count_;
  uint32_t slot_count_;
};

// Holds a shard's lock. If its owner had died, or another binary arranged the queues, the shard is
// set right first.
class ShardLock {
 public:
  ShardLock(Shard& shard, uint32_t now, uint64_t& repaired);
  ~ShardLock() { shard_.head().lock.Unlock(); }
  ShardLock(const ShardLock&) = delete;
  ShardLock& operator=(const ShardLock&) = delete;

 private:
  Shard& shard_;
};

}  // namespace limpet::shm
