// How many requests of each key are under way, for one limit_conn_zone. Shared by all workers and
// kept over reloads.
//
// Places are counted per key and worker slot; a key's total is the sum over its entries, of which
// there are as many as workers serve it. When a worker has died the master calls
// ForgetWorker(slot): no place leaks. A worker that dies inside the lock leaves counts that are
// right or belong to itself; chains are built anew.
//
// Two binaries may use one table (SIGUSR2). Slots of each begin at a number of its own, that no
// other one has had: SetFirstSlot. When one has gone, the other's master calls KeepOnlyOwn. From
// then on what is left of the other, workers without a master, takes and gives back nothing here:
// nobody would free it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/hash.h"
#include "shm/key_table.h"

namespace limpet::shm {

class LimitConnTable {
 public:
  enum class Verdict : uint8_t { kTaken, kLimited, kTableFull };

  // Formats fresh memory, all zero, or goes on with a table of this layout; before any fork.
  LimitConnTable(std::byte* memory, size_t bytes) : table_(memory, bytes) {}

  Digest128 KeyOf(std::string_view value) const { return table_.KeyOf(value); }

  // Takes a place for the key unless `limit` are taken.
  Verdict Take(const Digest128& key, uint32_t limit, int slot);
  // Gives one back.
  void Release(const Digest128& key, int slot);
  // The worker of this slot has ended: its places are free.
  void ForgetWorker(int slot);

  // Where this process's slots and those of its children begin; before any fork.
  void SetFirstSlot(int32_t first) { first_slot_ = first; }
  void AdmitOthers();  // another binary is about to be started
  void KeepOnlyOwn();  // the other one has gone: its places are free

  uint32_t Count(const Digest128& key);  // places taken, by all workers
  uint32_t capacity() const { return table_.capacity(); }
  uint32_t used() const { return table_.used(); }

  // Raise the number when a count or a slot comes to mean something else; see KeyTable::LayoutOf.
  static constexpr uint64_t Layout() { return Table::LayoutOf(1); }

 private:
  struct Entry {
    Digest128 key{};
    uint32_t next = 0;
    int32_t slot = 0;
    uint32_t count = 0;  // 0: the entry is free
    uint32_t unused = 0;
  };
  static_assert(sizeof(Entry) == 32);
  struct Root {
    uint32_t one_binary = 0;  // 1: only that whose slots begin at `first_slot` takes places
    int32_t first_slot = 0;
  };
  using Table = KeyTable<Entry, Root>;
  struct KeepingCounted {  // places are taken until they are given back, whoever dies meanwhile
    void operator()(Table& table) const {
      table.Relink([](const Entry& entry) { return entry.count > 0; });
    }
  };
  using Guard = RepairingGuard<Table, KeepingCounted>;

  struct Found {
    uint32_t own = Table::kNone;  // the entry of this slot
    uint32_t total = 0;
  };
  Found Find(const Digest128& key, int32_t slot);
  int32_t Slot(int slot) const { return first_slot_ + slot; }  // as the entries name it
  template <class Wanted>
  void RemoveIf(Wanted wanted);

  Table table_;
  int32_t first_slot_ = 0;
};

}  // namespace limpet::shm
