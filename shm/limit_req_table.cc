#include "shm/limit_req_table.h"

#include <utility>

namespace limpet::shm {

class LimitReqTable::Guard {
 public:
  explicit Guard(Table& table) : table_(table) {
    if (table_.Lock() == RobustMutex::Owner::kFine) return;
    table_.Clear();
    table_.MarkRepaired();
  }
  ~Guard() { table_.Unlock(); }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  Table& table_;
};

uint64_t LimitReqTable::Peek(const Digest128& key, uint64_t rate, uint64_t now_ms) {
  const Guard guard(table_);
  const uint32_t i = Find(key);
  if (i == Table::kNone) return 0;  // a key's first request makes no excess
  const Entry& entry = table_[i];
  return ExcessAfter(entry.excess, static_cast<int64_t>(now_ms - entry.last_ms), rate);
}

uint64_t LimitReqTable::Account(const Digest128& key, uint64_t rate, uint64_t burst,
                                uint64_t now_ms) {
  const Guard guard(table_);
  uint32_t i = Find(key);
  if (i == Table::kNone) {
    i = Insert(key);
    if (i != Table::kNone) table_[i].last_ms = now_ms;
    return 0;
  }
  Detach(i);
  Attach(i);
  Entry& entry = table_[i];
  const auto ms = static_cast<int64_t>(now_ms - entry.last_ms);
  const uint64_t excess = ExcessAfter(entry.excess, ms, rate);
  if (excess > burst) return excess;
  entry.excess = excess;
  // A clock behind another worker's must not give the time between them twice.
  if (ms > 0 || ms < -60000) entry.last_ms = now_ms;
  return excess;
}

uint32_t LimitReqTable::Find(const Digest128& key) {
  uint32_t i = table_.First(key);
  while (i != Table::kNone && table_[i].key != key) i = table_[i].next;
  return i;
}

uint32_t LimitReqTable::Insert(const Digest128& key) {
  uint32_t i = table_.Insert(key);
  if (i == Table::kNone && table_.root().oldest != Table::kNone) {
    const uint32_t oldest = table_.root().oldest;
    Detach(oldest);
    table_.Remove(oldest);
    i = table_.Insert(key);
  }
  if (i != Table::kNone) Attach(i);
  return i;
}

void LimitReqTable::Attach(uint32_t i) {
  UseOrder& order = table_.root();
  table_[i].newer = Table::kNone;
  table_[i].older = order.newest;
  (order.newest == Table::kNone ? order.oldest : table_[order.newest].newer) = i;
  order.newest = i;
}

void LimitReqTable::Detach(uint32_t i) {
  UseOrder& order = table_.root();
  const auto [newer, older] = std::pair(table_[i].newer, table_[i].older);
  (newer == Table::kNone ? order.newest : table_[newer].older) = older;
  (older == Table::kNone ? order.oldest : table_[older].newer) = newer;
}

}  // namespace limpet::shm
