// Values of variables within one exchange: those set by `set` and named groups, and those computed
// once and kept. A configuration knows many variables and a request uses few: each of the first
// costs a byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "conf/variables.h"

namespace limpet::worker {

class VariableCache {
 public:
  explicit VariableCache(size_t count) : places_(count) {}

  bool Has(conf::VariableId id) const { return places_[id] != 0; }
  conf::Value Get(conf::VariableId id) const {
    return Has(id) ? known_[IndexOf(id)].value : conf::Value::None();
  }
  void Set(conf::VariableId id, conf::Value value) {
    if (Has(id)) {
      known_[IndexOf(id)].value = value;
    } else {
      known_.push_back({value, id});
      places_[id] = static_cast<uint8_t>(known_.size() < kBehind ? known_.size() : kBehind);
    }
  }
  // All that was set since count() said so.
  size_t count() const { return known_.size(); }
  void ForgetSince(size_t count) {
    while (known_.size() > count) {
      places_[known_.back().id] = 0;
      known_.pop_back();
    }
  }
  void Reset() { ForgetSince(0); }

 private:
  struct Known {
    conf::Value value;
    conf::VariableId id = 0;
  };
  static constexpr size_t kBehind = 255;

  size_t IndexOf(conf::VariableId id) const {
    size_t index = places_[id] - 1u;
    if (places_[id] == kBehind) {
      while (known_[index].id != id) ++index;
    }
    return index;
  }

  std::vector<uint8_t> places_;  // in known_, from 1 on; kBehind: there or later; 0: nowhere
  std::vector<Known> known_;
};

}  // namespace limpet::worker
