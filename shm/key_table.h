// A fixed-size hash table in memory that processes share: what limit_req and limit_conn keep for
// each key. Keys are keyed hashes, so the memory shows no address and no user name. All access is
// under the table's lock; an operation is O(1).
//
// Always, outside the lock: an entry is in one bucket's chain or in the free list. Whoever finds
// that the last owner of the lock has died calls Clear() or rebuilds with Relink().
//
// A binary that takes another's place goes on with its tables: see LayoutOf.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string_view>
#include <type_traits>

#include "base/hash.h"
#include "shm/robust_mutex.h"

namespace limpet::shm {

// `Entry` has `Digest128 key` and `uint32_t next`, and is all zero when it is not used. `Root` is
// what a table keeps once, beside its entries; Clear() makes it anew.
template <class Entry, class Root>
class KeyTable {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;
  static_assert(std::is_trivially_copyable_v<Entry>);

  // Formats fresh memory (all zero); goes on with what is in memory that was formatted to the end,
  // whoever is using it. The memory must outlive the table. Before any fork.
  KeyTable(std::byte* memory, size_t bytes) {
    header_ = reinterpret_cast<Header*>(memory);
    const size_t room = bytes < sizeof(Header) ? 0 : bytes - sizeof(Header);
    capacity_ = static_cast<uint32_t>(room / (sizeof(Entry) + 2 * sizeof(uint32_t)));
    bucket_mask_ = std::bit_floor(uint32_t{2} * capacity_ | 1u) - 1;
    entries_ = reinterpret_cast<Entry*>(memory + sizeof(Header));
    buckets_ = reinterpret_cast<uint32_t*>(memory + sizeof(Header) + capacity_ * sizeof(Entry));
    if (header_->formatted.load(std::memory_order_acquire) == 0) Format();
  }

  // What two binaries must agree on to use one table. Raise a table's own `version` when the
  // meaning of its entries or its root changes; kVersion here, when the layout of memory or the way
  // from a value to its bucket does. Fields that come and go mostly show in the sizes.
  static constexpr uint64_t LayoutOf(uint16_t version) {
    static_assert(sizeof(Entry) <= UINT16_MAX && sizeof(Header) <= UINT16_MAX);
    return uint64_t{kVersion} << 48 | uint64_t{version} << 32 | sizeof(Entry) << 16 |
           sizeof(Header);
  }

  Digest128 KeyOf(std::string_view value) const { return SipHash128(value, header_->secret); }
  uint32_t capacity() const { return capacity_; }
  uint32_t used() const { return header_->used; }
  Entry& operator[](uint32_t i) { return entries_[i]; }
  Root& root() { return header_->root; }

  [[nodiscard]] RobustMutex::Owner Lock() { return header_->mutex.Lock(); }
  void MarkRepaired() { header_->mutex.MarkRepaired(); }
  void Unlock() { header_->mutex.Unlock(); }

  // The first entry of the key's bucket; follow `next` and compare keys.
  uint32_t First(const Digest128& key) const { return buckets_[key[0] & bucket_mask_]; }

  // The first entry with this key; kNone if there is none.
  uint32_t Find(const Digest128& key) const {
    uint32_t i = First(key);
    while (i != kNone && entries_[i].key != key) i = entries_[i].next;
    return i;
  }

  // An entry from the free list, in its bucket already; kNone if there is none.
  uint32_t Insert(const Digest128& key) {
    const uint32_t i = header_->free;
    if (i == kNone) return kNone;
    header_->free = entries_[i].next;
    entries_[i] = Entry{};
    entries_[i].key = key;
    Chain(i);
    return i;
  }

  void Remove(uint32_t i) {
    uint32_t* at = &buckets_[entries_[i].key[0] & bucket_mask_];
    while (*at != i) at = &entries_[*at].next;
    *at = entries_[i].next;
    --header_->used;
    Free(i);
  }

  void Clear() {
    header_->root = Root{};
    Relink([](const Entry&) { return false; });
  }

  // Builds chains and free list anew; what `is_live` does not want is freed.
  template <class IsLive>
  void Relink(IsLive is_live) {
    for (uint32_t b = 0; b <= bucket_mask_; ++b) buckets_[b] = kNone;
    header_->free = kNone;
    header_->used = 0;
    for (uint32_t i = capacity_; i-- > 0;) {
      if (is_live(entries_[i])) {
        Chain(i);
      } else {
        Free(i);
      }
    }
  }

 private:
  static constexpr uint16_t kVersion = 1;

  struct alignas(64) Header {
    // Not 0: all the rest is there. Set last: a table whose maker died before is made anew.
    std::atomic<uint32_t> formatted{0};
    RobustMutex mutex;
    SipKey secret;
    uint32_t free = kNone;
    uint32_t used = 0;
    Root root;
  };

  void Format() {
    ::new (static_cast<void*>(header_)) Header;
    header_->mutex.Init();
    header_->secret = RandomSipKey();
    Clear();
    header_->formatted.store(1, std::memory_order_release);
  }

  void Chain(uint32_t i) {
    uint32_t& bucket = buckets_[entries_[i].key[0] & bucket_mask_];
    entries_[i].next = bucket;
    bucket = i;
    ++header_->used;
  }
  void Free(uint32_t i) {
    entries_[i] = Entry{};
    entries_[i].next = header_->free;
    header_->free = i;
  }

  Header* header_;
  Entry* entries_;
  uint32_t* buckets_;
  uint32_t capacity_;
  uint32_t bucket_mask_;
};

// Holds a table's lock. What the last owner has left by dying in it is set right first, by
// `Repair`, which is called with the table.
template <class Table, class Repair>
class RepairingGuard {
 public:
  explicit RepairingGuard(Table& table) : table_(table) {
    if (table_.Lock() == RobustMutex::Owner::kFine) return;
    Repair()(table_);
    table_.MarkRepaired();
  }
  ~RepairingGuard() { table_.Unlock(); }
  RepairingGuard(const RepairingGuard&) = delete;
  RepairingGuard& operator=(const RepairingGuard&) = delete;

 private:
  Table& table_;
};

// Where it may be thrown away.
struct Emptying {
  void operator()(auto& table) const { table.Clear(); }
};
template <class Table>
using EmptyingGuard = RepairingGuard<Table, Emptying>;

}  // namespace limpet::shm
