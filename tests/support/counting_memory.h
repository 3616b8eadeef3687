// Memory that counts what it gives, so that limits can be seen to hold before bytes are stored.
#pragma once

#include <cstddef>
#include <memory_resource>

namespace limpet {

class CountingMemory final : public std::pmr::memory_resource {
 public:
  size_t given = 0;

 private:
  void* do_allocate(size_t size, size_t alignment) override {
    given += size;
    return arena_.allocate(size, alignment);
  }
  void do_deallocate(void*, size_t, size_t) override {}
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }

  std::pmr::monotonic_buffer_resource arena_;
};

}  // namespace limpet
