// Making room in a shard: sessions move to their other bucket, along the shortest chain that ends
// at a free slot.
#include <algorithm>

#include "shm/death_points.h"
#include "shm/shard.h"

namespace limpet::shm {

// Breadth first: buckets, each reached by moving one slot of its parent there.
struct Shard::Path {
  static constexpr uint32_t kMaxNodes = 400;  // nearly all end with the first dozen
  struct Node {
    uint32_t bucket;
    uint32_t parent;     // node
    uint32_t from_slot;  // the parent's slot whose session would come to `bucket`
  };
  Node nodes[kMaxNodes];
  uint32_t count = 0;
  uint32_t last = 0;     // the node with a free slot
  uint32_t free = kNil;  // that slot

  void Add(uint32_t bucket, uint32_t parent, uint32_t from_slot) {
    if (count < kMaxNodes) nodes[count++] = {bucket, parent, from_slot};
  }
};

// Called when both buckets are full; so the first ones to look at are those that one move leads to.
uint32_t Shard::MakeRoom(uint64_t tag) {
  Path path;
  path.Add(First(tag), kNil, kNil);
  path.Add(Second(tag), kNil, kNil);
  for (uint32_t n = 0; n < path.count; ++n) {
    const uint32_t children = path.count;
    Expand(&path, n);
    for (path.last = children; path.last < path.count; ++path.last) {
      path.free = FreeIn(path.nodes[path.last].bucket);
      uint32_t freed = kNil;
      if (path.free != kNil) return Follow(path, &freed) ? freed : kNil;
    }
  }
  return kNil;
}

// Adds the buckets that the sessions of node n could move to.
void Shard::Expand(Path* path, uint32_t n) const {
  const uint32_t bucket = path->nodes[n].bucket;
  for (uint32_t i = 0; i < kSlotsPerBucket; ++i) {
    const uint64_t tag = LoadRelaxed(BucketAt(bucket).tag[i]);
    const uint32_t to = First(tag) == bucket ? Second(tag) : First(tag);
    if (to == bucket) continue;
    __builtin_prefetch(&BucketAt(to), 1);
    path->Add(to, n, bucket * kSlotsPerBucket + i);
  }
}

// Moves from the far end on, so that each step alone leaves a sound table. A chain that meets
// itself stops short.
bool Shard::Follow(const Path& path, uint32_t* freed) {
  uint32_t free = path.free;
  for (uint32_t n = path.last; path.nodes[n].parent != kNil; n = path.nodes[n].parent) {
    const uint32_t from = path.nodes[n].from_slot;
    const uint64_t tag = LoadRelaxed(TagOf(from));
    const uint32_t to = path.nodes[n].bucket;
    if (tag == 0 || (First(tag) != to && Second(tag) != to)) return false;
    Move(from, free);
    free = from;
  }
  *freed = free;
  return true;
}

void Shard::Move(uint32_t from, uint32_t to) {
  StoreRelease(ValOf(to), LoadAcquire(ValOf(from)));
  StoreRelease(TagOf(to), LoadRelaxed(TagOf(from)));
  MayDie(DeathPoint::kMoveCopied);
  std::atomic_ref(head_->moves).fetch_add(1, std::memory_order_acq_rel);
  StoreRelease(TagOf(from), 0);
  // A use that was written to the old place meanwhile is not lost; one that comes now fails, and
  // looks again.
  const Value last{std::atomic_ref(ValOf(from)).exchange(0, std::memory_order_acq_rel)};
  Merge(ValOf(to), last);
  MayDie(DeathPoint::kMoveCleared);
  TakeOver(from, to);
}

// Both are of the same session: its last use is the later one, and it was looked up, or so long in
// use, if either says so.
void Shard::Merge(uint64_t& into, Value other) {
  std::atomic_ref val(into);
  Value seen{val.load(std::memory_order_acquire)};
  for (;;) {
    const uint32_t tick = seen.tick() > other.tick() ? seen.tick() : other.tick();
    const Value merged =
        Value::Of(tick, seen.referenced() || other.referenced(), seen.fingerprint(), seen.peer(),
                  std::max(seen.span(), other.span()));
    if (seen.bits == 0 || merged == seen) return;
    if (val.compare_exchange_weak(seen.bits, merged.bits, std::memory_order_acq_rel)) return;
  }
}

}  // namespace limpet::shm
