// Objects that are lent for a while and kept for the next who needs one: what comes back last is
// taken first. A bounded number is kept; the others go. One thread only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "base/prefetch.h"

namespace limpet::worker {

template <class T>
class Spares {
 public:
  // One that was given back, or one that is made of these arguments.
  template <class... Args>
  std::unique_ptr<T> Take(Args&&... args) {
    if (kept_.empty()) return std::make_unique<T>(std::forward<Args>(args)...);
    std::unique_ptr<T> taken = std::move(kept_.back());
    kept_.pop_back();
    if (!kept_.empty()) Prefetch(kept_.back().get());  // for whoever comes next
    least_ = std::min(least_, kept_.size());
    return taken;
  }
  void Return(std::unique_ptr<T> object) {  // null: nothing happens
    if (object != nullptr && kept_.size() < kMostKept) kept_.push_back(std::move(object));
  }
  void Clear() {
    DropTo(0);
    least_ = 0;
  }
  // Those go that have not been needed since the last call; how many. For whoever calls it now and
  // then, so that a burst does not leave its objects behind.
  size_t DropUnneeded() {
    const size_t dropped = least_;
    if (dropped > 0) DropTo(kept_.size() - dropped);
    least_ = kept_.size();
    return dropped;
  }

 private:
  static constexpr size_t kMostKept = 4096;  // as many as a busy worker may have in use at once

  void DropTo(size_t count) {
    kept_.resize(count);
    kept_.shrink_to_fit();
  }

  std::vector<std::unique_ptr<T>> kept_;
  size_t least_ = 0;  // as many were always there since they were looked at, and still are
};

}  // namespace limpet::worker
