// Changes of sessions that have not reached the store, in the order they were made, one for each
// session: the newest. Bounded: when it is full the oldest is given up; but not for one that is
// only written anew, which is not taken then. Pure; of one worker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>

#include "worker/store/record.h"

namespace limpet::worker {

struct StoreChange {
  StoreKey key;
  shm::StoreVersion version;
  std::string record;       // encoded
  uint64_t made_ms = 0;     // BootMs: its lifetime in the store counts from there
  uint64_t life_ms = 0;     // 0: for ever
  uint64_t ticket = 0;      // who waits for it to arrive; 0: nobody
  bool is_relayed = false;  // it lies in the relay until it is answered

  bool IsEnd() const;  // of the session
};

class Outbox {
 public:
  explicit Outbox(size_t limit) : limit_(limit) {}

  // Instead of an older one of the session; an older one than that which waits is forgotten. The
  // ticket of one that goes passes to the one that stays, if that has none. False: the oldest was
  // given up for it, or it was not taken.
  bool Add(StoreChange change);
  // One that was taken and has not been answered: it goes before all others, unless a newer one of
  // its session waits. Of several the one taken last is put back first. False: it was given up, as
  // the oldest of too many.
  bool PutBack(StoreChange change);
  std::optional<StoreChange> Take();  // the oldest
  // Those that end sessions: the oldest that `leave` takes. It says false when it takes no more.
  void TakeEnds(const std::function<bool(const StoreChange&)>& leave);
  size_t size() const { return order_.size(); }

 private:
  using Order = std::list<StoreChange>;

  bool Insert(StoreChange change, bool in_front);

  const size_t limit_;
  Order order_;
  std::unordered_map<StoreKey, Order::iterator, StoreKeyHash> by_key_;
};

}  // namespace limpet::worker
