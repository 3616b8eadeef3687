#include "shm/limit_conn_table.h"

#include "shm/counters.h"  // kMaxWorkerSlots

namespace limpet::shm {

LimitConnTable::Verdict LimitConnTable::Take(const Digest128& key, uint32_t limit, int slot) {
  const Guard guard(table_);
  const Found found = Find(key, Slot(slot));
  if (found.total >= limit) return Verdict::kLimited;
  const Root& root = table_.root();
  if (root.one_binary != 0 && root.first_slot != first_slot_) return Verdict::kTaken;
  uint32_t own = found.own;
  if (own == Table::kNone) {
    own = table_.Insert(key);
    if (own == Table::kNone) return Verdict::kTableFull;
    table_[own].slot = Slot(slot);
  }
  ++table_[own].count;
  return Verdict::kTaken;
}

void LimitConnTable::Release(const Digest128& key, int slot) {
  const Guard guard(table_);
  const uint32_t own = Find(key, Slot(slot)).own;  // none: it was freed for us meanwhile
  if (own != Table::kNone && --table_[own].count == 0) table_.Remove(own);
}

template <class Wanted>
void LimitConnTable::RemoveIf(Wanted wanted) {
  for (uint32_t i = 0; i < table_.capacity(); ++i) {
    if (table_[i].count > 0 && wanted(table_[i])) table_.Remove(i);
  }
}

void LimitConnTable::ForgetWorker(int slot) {
  const Guard guard(table_);
  RemoveIf([dead = Slot(slot)](const Entry& entry) { return entry.slot == dead; });
}

void LimitConnTable::AdmitOthers() {
  const Guard guard(table_);
  table_.root() = Root{};
}

void LimitConnTable::KeepOnlyOwn() {
  const Guard guard(table_);
  table_.root() = Root{.one_binary = 1, .first_slot = first_slot_};
  RemoveIf([this](const Entry& entry) {
    return entry.slot < first_slot_ || entry.slot >= first_slot_ + kMaxWorkerSlots;
  });
}

uint32_t LimitConnTable::Count(const Digest128& key) {
  const Guard guard(table_);
  return Find(key, -1).total;
}

LimitConnTable::Found LimitConnTable::Find(const Digest128& key, int32_t slot) {
  Found found;
  for (uint32_t i = table_.First(key); i != Table::kNone; i = table_[i].next) {
    if (table_[i].key != key) continue;
    found.total += table_[i].count;
    if (table_[i].slot == slot) found.own = i;
  }
  return found;
}

}  // namespace limpet::shm
