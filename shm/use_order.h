// The order in which the entries of a KeyTable were used, as links in the entries (`newer`,
// `older`) and their two ends in the table's root. Under the table's lock.
#pragma once

#include <cstdint>
#include <utility>

#include "base/hash.h"

namespace limpet::shm {

struct UseOrder {
  uint32_t newest = UINT32_MAX, oldest = UINT32_MAX;
};

template <class Table>
void AttachNewest(Table& table, UseOrder& order, uint32_t i) {
  table[i].newer = Table::kNone;
  table[i].older = order.newest;
  (order.newest == Table::kNone ? order.oldest : table[order.newest].newer) = i;
  order.newest = i;
}

template <class Table>
void Detach(Table& table, UseOrder& order, uint32_t i) {
  const auto [newer, older] = std::pair(table[i].newer, table[i].older);
  (newer == Table::kNone ? order.newest : table[newer].older) = older;
  (older == Table::kNone ? order.oldest : table[older].newer) = newer;
}

// A new entry, the newest; in a full table the oldest gives way. kNone: the table has no room at
// all.
template <class Table>
uint32_t InsertNewest(Table& table, UseOrder& order, const Digest128& key) {
  uint32_t i = table.Insert(key);
  if (i == Table::kNone && order.oldest != Table::kNone) {
    const uint32_t oldest = order.oldest;
    Detach(table, order, oldest);
    table.Remove(oldest);
    i = table.Insert(key);
  }
  if (i != Table::kNone) AttachNewest(table, order, i);
  return i;
}

}  // namespace limpet::shm
