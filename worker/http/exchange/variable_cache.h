// Values of variables within one exchange: those set by `set` and named groups, and those computed
// once and kept.
#pragma once

#include <algorithm>
#include <vector>

#include "conf/variables.h"

namespace limpet::worker {

class VariableCache {
 public:
  explicit VariableCache(size_t count) : slots_(count) {}

  bool Has(conf::VariableId id) const { return slots_[id].known; }
  conf::Value Get(conf::VariableId id) const { return slots_[id].value; }
  void Set(conf::VariableId id, conf::Value value) {
    if (!slots_[id].known) used_.push_back(id);
    slots_[id] = {value, true};
  }
  // All that was set since count() said so.
  size_t count() const { return used_.size(); }
  void ForgetSince(size_t count) {
    for (size_t i = count; i < used_.size(); ++i) slots_[used_[i]] = {};
    used_.resize(std::min(count, used_.size()));
  }
  void Forget(conf::VariableId id) { slots_[id].known = false; }
  void Reset() {
    for (const conf::VariableId id : used_) slots_[id] = {};
    used_.clear();
  }

 private:
  struct Slot {
    conf::Value value;
    bool known = false;
  };
  std::vector<Slot> slots_;
  std::vector<conf::VariableId> used_;
};

}  // namespace limpet::worker
