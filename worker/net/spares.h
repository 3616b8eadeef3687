// Objects that are lent for a while and kept for the next who needs one: what comes back last is
// taken first. A bounded number is kept; the others go. One thread only.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

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
    return taken;
  }
  void Return(std::unique_ptr<T> object) {  // null: nothing happens
    if (object != nullptr && kept_.size() < kMostKept) kept_.push_back(std::move(object));
  }
  void Clear() { std::vector<std::unique_ptr<T>>().swap(kept_); }

 private:
  static constexpr size_t kMostKept = 4096;  // as many as a busy worker may have in use at once
  std::vector<std::unique_ptr<T>> kept_;
};

}  // namespace limpet::worker
