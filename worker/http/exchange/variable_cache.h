// Values of variables within one exchange: those set by `set` and named groups, and those computed
// once and kept. A configuration knows many variables and most requests use a few: those are looked
// through; where there are more, each variable has a byte that says where it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "conf/variables.h"

namespace limpet::worker {

class VariableCache {
 public:
  explicit VariableCache(size_t count) : count_(count) {}

  bool Has(conf::VariableId id) const { return Find(id) != nullptr; }
  conf::Value Get(conf::VariableId id) const {
    const Known* const known = Find(id);
    return known != nullptr ? known->value : conf::Value::None();
  }
  void Set(conf::VariableId id, conf::Value value) {
    if (Known* const known = const_cast<Known*>(Find(id))) {
      known->value = value;
      return;
    }
    known_.push_back({value, id});
    if (known_.size() > kFew) Place();
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
  static constexpr size_t kBehind = 255;

  const Known* Find(conf::VariableId id) const {
    const size_t few = known_.size() < kFew ? known_.size() : kFew;
    for (size_t i = 0; i < few; ++i) {
      if (known_[i].id == id) return &known_[i];
    }
    if (known_.size() <= kFew || places_[id] == 0) return nullptr;
    size_t index = places_[id] - 1u;
    if (places_[id] == kBehind) {
      while (known_[index].id != id) ++index;
    }
    return &known_[index];
  }
  void Place() {  // the last one
    if (places_.empty()) places_.resize(count_);
    places_[known_.back().id] =
        static_cast<uint8_t>(known_.size() < kBehind ? known_.size() : kBehind);
  }

  size_t count_;
  std::vector<Known> known_;
  std::vector<uint8_t>
      places_;  // of those behind the first few, from 1 on; kBehind: there or later
};

}  // namespace limpet::worker
