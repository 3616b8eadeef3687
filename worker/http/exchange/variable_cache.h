// Values of variables within one exchange: those set by `set` and named groups, and those computed
// once and kept. A configuration knows many variables and most requests use a few: those are looked
// through; where there are more, it is noted for each variable where it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "conf/variables.h"

namespace limpet::worker {

class VariableCache {
 public:
  explicit VariableCache(size_t count) : count_(count) {}

  bool Has(conf::VariableId id) const { return Find(id) < known_.size(); }
  conf::Value Get(conf::VariableId id) const {
    const size_t index = Find(id);
    return index < known_.size() ? known_[index].value : conf::Value::None();
  }
  void Set(conf::VariableId id, conf::Value value) {
    const size_t index = Find(id);
    if (index < known_.size()) {
      known_[index].value = value;
      return;
    }
    known_.push_back({value, id});
    if (index < kFew) return;
    if (places_.empty()) places_.resize(count_);
    places_[id] = static_cast<uint16_t>(known_.size() - kFew);
  }
  // All that was set since count() said so.
  size_t count() const { return known_.size(); }
  void ForgetSince(size_t count) {
    while (known_.size() > count) {
      if (known_.size() > kFew) places_[known_.back().id] = 0;
      known_.pop_back();
    }
  }
  void Reset() { ForgetSince(0); }

 private:
  struct Known {
    conf::Value value;
    conf::VariableId id = 0;
  };
  static constexpr size_t kFew = 8;

  // In known_; its size: not there.
  size_t Find(conf::VariableId id) const {
    const size_t few = known_.size() < kFew ? known_.size() : kFew;
    for (size_t i = 0; i < few; ++i) {
      if (known_[i].id == id) return i;
    }
    const bool is_there = known_.size() > kFew && places_[id] != 0;
    return is_there ? kFew - 1 + places_[id] : known_.size();
  }

  size_t count_;
  std::vector<Known> known_;
  std::vector<uint16_t> places_;  // of those behind the first few, from 1 on; 0: none of them
};

}  // namespace limpet::worker
