// What a table would be that gives up exactly the session that has been idle longest.
#pragma once

#include <cstdint>
#include <list>
#include <unordered_map>

namespace limpet::shm {

class ExactLru {
 public:
  explicit ExactLru(uint64_t capacity) : capacity_(capacity) {}
  void Use(uint64_t n) {
    if (const auto it = places_.find(n); it != places_.end()) {
      order_.splice(order_.end(), order_, it->second);
      return;
    }
    if (order_.size() == capacity_) {
      places_.erase(order_.front());
      order_.pop_front();
    }
    places_[n] = order_.insert(order_.end(), n);
  }
  bool Has(uint64_t n) const { return places_.contains(n); }

 private:
  uint64_t capacity_;
  std::list<uint64_t> order_;
  std::unordered_map<uint64_t, std::list<uint64_t>::iterator> places_;
};

}  // namespace limpet::shm
