#include "shm/limit_conn_table.h"

namespace limpet::shm {

LimitConnTable::Verdict LimitConnTable::Take(const Digest128& key, uint32_t limit, int slot) {
  const Guard guard(table_);
  const Found found = Find(key, slot);
  if (found.total >= limit) return Verdict::kLimited;
  uint32_t own = found.own;
  if (own == Table::kNone) {
    own = table_.Insert(key);
    if (own == Table::kNone) return Verdict::kTableFull;
    table_[own].slot = slot;
  }
  ++table_[own].count;
  return Verdict::kTaken;
}

void LimitConnTable::Release(const Digest128& key, int slot) {
  const Guard guard(table_);
  const uint32_t own = Find(key, slot).own;
  if (own != Table::kNone && --table_[own].count == 0) table_.Remove(own);
}

void LimitConnTable::ForgetWorker(int slot) {
  const Guard guard(table_);
  for (uint32_t i = 0; i < table_.capacity(); ++i) {
    if (table_[i].count > 0 && table_[i].slot == slot) table_.Remove(i);
  }
}

uint32_t LimitConnTable::Count(const Digest128& key) {
  const Guard guard(table_);
  return Find(key, -1).total;
}

LimitConnTable::Found LimitConnTable::Find(const Digest128& key, int slot) {
  Found found;
  for (uint32_t i = table_.First(key); i != Table::kNone; i = table_[i].next) {
    if (table_[i].key != key) continue;
    found.total += table_[i].count;
    if (table_[i].slot == slot) found.own = i;
  }
  return found;
}

}  // namespace limpet::shm
