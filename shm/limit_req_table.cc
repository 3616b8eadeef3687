#include "shm/limit_req_table.h"

namespace limpet::shm {

uint64_t LimitReqTable::Peek(const Digest128& key, uint64_t rate, uint64_t now_ms) {
  const Guard guard(table_);
  const uint32_t i = table_.Find(key);
  if (i == Table::kNone) return 0;  // a key's first request makes no excess
  const Entry& entry = table_[i];
  return ExcessAfter(entry.excess, static_cast<int64_t>(now_ms - entry.last_ms), rate);
}

uint64_t LimitReqTable::Account(const Digest128& key, uint64_t rate, uint64_t burst,
                                uint64_t now_ms) {
  const Guard guard(table_);
  uint32_t i = table_.Find(key);
  if (i == Table::kNone) {
    i = InsertNewest(table_, table_.root(), key);
    if (i != Table::kNone) table_[i].last_ms = now_ms;
    return 0;
  }
  Detach(table_, table_.root(), i);
  AttachNewest(table_, table_.root(), i);
  Entry& entry = table_[i];
  const auto ms = static_cast<int64_t>(now_ms - entry.last_ms);
  const uint64_t excess = ExcessAfter(entry.excess, ms, rate);
  if (excess > burst) return excess;
  entry.excess = excess;
  // A clock behind another worker's must not give the time between them twice.
  if (ms > 0 || ms < -60000) entry.last_ms = now_ms;
  return excess;
}

}  // namespace limpet::shm
