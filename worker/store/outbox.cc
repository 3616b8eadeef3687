#include "worker/store/outbox.h"

#include <utility>

namespace limpet::worker {

bool StoreChange::IsEnd() const {
  return record.size() > StoreRecord::kVersionSize &&
         record[StoreRecord::kVersionSize] == static_cast<char>(StoreRecord::Kind::kDeleted);
}

bool Outbox::Add(StoreChange change) { return Insert(std::move(change), false); }

bool Outbox::PutBack(StoreChange change) { return Insert(std::move(change), true); }

std::optional<StoreChange> Outbox::Take() {
  if (order_.empty()) return std::nullopt;
  StoreChange change = std::move(order_.front());
  by_key_.erase(change.key);
  order_.pop_front();
  return change;
}

void Outbox::TakeEnds(const std::function<bool(const StoreChange&)>& leave) {
  for (auto place = order_.begin(); place != order_.end();) {
    const auto change = place++;
    if (!change->IsEnd()) continue;
    if (!leave(*change)) return;
    by_key_.erase(change->key);
    order_.erase(change);
  }
}

bool Outbox::Insert(StoreChange change, bool in_front) {
  if (const auto found = by_key_.find(change.key); found != by_key_.end()) {
    StoreChange& present = *found->second;
    const bool newer = Wins(change.version, present.version);
    StoreChange& stays = newer ? change : present;
    // Who waits for the older one hears of the newer one.
    if (stays.ticket == 0) stays.ticket = newer ? present.ticket : change.ticket;
    if (!newer) return true;
    order_.erase(found->second);
    by_key_.erase(found);
  }
  if (order_.size() >= limit_ && !change.version.IsChange()) return false;
  const auto place = order_.insert(in_front ? order_.begin() : order_.end(), std::move(change));
  by_key_.emplace(place->key, place);
  if (order_.size() <= limit_) return true;
  Take();
  return false;
}

}  // namespace limpet::worker
