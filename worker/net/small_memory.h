// Memory of small things that come and go with requests: free lists by size, in which what was
// given back last is taken first. The system's allocator keeps few pieces of a size at hand, and a
// worker has hundreds of requests at once. Larger pieces are the system's. One thread only; it
// outlives what is allocated from it.
#pragma once

#include <array>
#include <cstddef>
#include <memory_resource>
#include <new>

#include "base/sanitizer.h"

namespace limpet::worker {

class SmallMemory final : public std::pmr::memory_resource {
 public:
  SmallMemory() = default;
  SmallMemory(const SmallMemory&) = delete;
  SmallMemory& operator=(const SmallMemory&) = delete;
  ~SmallMemory() override { Trim(); }

  // As allocate() and deallocate() for what is aligned as usual. `size` is the same for both.
  void* Take(size_t size) {
    FreeList* const list = ListOf(size);
    if (list == nullptr || list->first == nullptr) return New(size);
    Free* const taken = list->first;
    list->first = taken->next;
    __builtin_prefetch(list->first);  // for whoever comes next
    --list->count;
    return taken;
  }
  void Give(void* piece, size_t size) {
    FreeList* const list = ListOf(size);
    if (list == nullptr || (list->count + 1) * RoundUp(size) > kKeptBytes) return Delete(piece);
    list->first = new (piece) Free{list->first};
    ++list->count;
  }

  void Trim();  // what is kept goes back to the system

 private:
  struct Free {
    Free* next;
  };
  struct FreeList {
    Free* first = nullptr;
    size_t count = 0;
  };
  static constexpr size_t kStep = 32;
  static constexpr size_t kMost = 1024;
  static constexpr size_t kKeptBytes = kAddressSanitizer ? 0 : 256 * 1024;  // per size

  static constexpr size_t RoundUp(size_t size) { return (size + kStep - 1) / kStep * kStep; }
  FreeList* ListOf(size_t size) {
    return size - 1 < kMost ? &free_[(size - 1) / kStep] : nullptr;  // 0 bytes: none
  }
  static void* New(size_t size);
  static void Delete(void* piece);

  void* do_allocate(size_t size, size_t alignment) override;
  void do_deallocate(void* piece, size_t size, size_t alignment) override;
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }

  std::array<FreeList, kMost / kStep> free_{};
};

}  // namespace limpet::worker
